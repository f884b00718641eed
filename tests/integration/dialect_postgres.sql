-- Functions by which the tests write one SQL for both kinds of database: those that PostgreSQL does not have. Loaded
-- into a test's database before the outbox.
create function bytes(words text) returns bytea language sql immutable as $$ select convert_to(words, 'UTF8') $$;
create function unhex(digits text) returns bytea language sql immutable as $$ select decode(digits, 'hex') $$;
create function hex(value bytea) returns text language sql immutable as $$ select upper(encode(value, 'hex')) $$;
create function as_headers(words text) returns jsonb language sql immutable as $$ select words::jsonb $$;
create function header_of(headers jsonb, name text) returns text language sql immutable as $$ select headers ->> name $$;
create function as_id(words text) returns uuid language sql immutable as $$ select words::uuid $$;
create function id_text(id uuid) returns text language sql immutable as $$ select id::text $$;
create function new_id() returns uuid language sql volatile as $$ select gen_random_uuid() $$;

-- The hash by which the relay knows a key.
create function hash_of(words text) returns bigint language sql immutable as $$ select hashtextextended(words, 0) $$;

-- A time this many seconds from now; negative: ago.
create function from_now(seconds float8) returns timestamptz language sql volatile as
$$ select clock_timestamp() + seconds * interval '1 s' $$;

-- The microseconds since 1970 of a time, and the reverse.
create function epoch_us(at timestamptz) returns bigint language sql immutable as
$$ select (extract(epoch from at) * 1000000)::bigint $$;
create function at_us(us bigint) returns timestamptz language sql immutable as
$$ select timestamptz 'epoch' + us * interval '1 microsecond' $$;

-- The time in UTC that the text shows.
create function as_time(words text) returns timestamptz language sql immutable as
$$ select words::timestamp at time zone 'UTC' $$;

-- The first and the last time that an outbox accepts.
create function first_time() returns timestamptz language sql immutable as $$ select timestamptz '-infinity' $$;
create function last_time() returns timestamptz language sql immutable as $$ select timestamptz 'infinity' $$;

-- For an order that is random, but the same each time.
create function digest(words text) returns text language sql immutable as $$ select md5(words) $$;

-- More than anybody should read: some kilobytes on the disk, and hundreds of megabytes for the reader.
create function huge_headers() returns jsonb language sql immutable as
$$ select jsonb_build_object('a', (select jsonb_agg('1e131000'::jsonb) from generate_series(1, 9000))) $$;
create function huge_text() returns text language sql immutable as $$ select repeat('x', 20 << 20) $$;

-- All of them with commas between: group_concat(text order by id).
create function join_texts(before text, word text) returns text language sql immutable as
$$ select case when before is null then word else before || ',' || word end $$;
create aggregate group_concat(text) (sfunc = join_texts, stype = text);
