-- A relay that reaches its broker and waits for the ownership (@fit) holds the lock @fit_name, until it has the ownership. By
-- it the owner knows that another relay could do its work, and a relay that does not reach its broker leaves the ownership to
-- one that does. Returns whether another session holds it. (A session may take a lock several times, and would have to release
-- it as often.)
select
    coalesce(is_used_lock(@fit_name) <> connection_id(), 0),
    case
        when not @fit then release_lock(@fit_name)
        when is_used_lock(@fit_name) is null then get_lock(@fit_name, 0)
    end
