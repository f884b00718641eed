/* amqp/table.h - AMQP 0-9-1 field tables, written to and read from plain bytes. Types are
 * RabbitMQ's (its errata table): S long string, l int64, d double, t boolean, V void, F table, A
 * array, T timestamp; the reader knows all of them.
 *
 * A table is written inside a buffer: table_begin, fields, table_end; nesting to TABLE_DEPTH_MAX.
 * All writers return false once the buffer's ceiling is reached or a name is over 255 bytes;
 * nothing is half-written to the peer, since the caller then throws the buffer away. */
#ifndef AMQP_TABLE_H
#define AMQP_TABLE_H

#include "amqp/connection.h"

#define TABLE_DEPTH_MAX 32

/* Inside a table every field has a name; inside an array name is ignored (pass an empty span). */
struct table_writer {
    struct buffer *buffer;
    size_t length_at[TABLE_DEPTH_MAX]; /* offsets of open length fields from the buffer's front */
    bool array[TABLE_DEPTH_MAX];
    unsigned depth;
};

void table_writer_init(struct table_writer *writer, struct buffer *buffer);
bool table_put_string(struct table_writer *writer, struct span name, struct span value) MUST_CHECK;
bool table_put_int(struct table_writer *writer, struct span name, int64_t value) MUST_CHECK;
bool table_put_double(struct table_writer *writer, struct span name, double value) MUST_CHECK;
bool table_put_bool(struct table_writer *writer, struct span name, bool value) MUST_CHECK;
bool table_put_null(struct table_writer *writer, struct span name) MUST_CHECK;
bool table_open_table(struct table_writer *writer, struct span name) MUST_CHECK;
bool table_open_array(struct table_writer *writer, struct span name) MUST_CHECK;
bool
table_close(struct table_writer *writer) MUST_CHECK; /* ends the innermost open table or array */

/* Reading: bounds-checked, never trusts a length. */
struct table_field {
    struct span name;
    char type;        /* the AMQP type letter */
    struct span text; /* S and x: the bytes; F and A: the nested fields */
    int64_t integer;  /* all integer types, booleans and timestamps */
    double number;    /* f, d */
};

/* The first field of `fields` (a table's content) named `name`; false if there is none or the bytes
 * are malformed. */
bool table_find(struct span fields, const char *name, struct table_field *ret_field);

/* Walks: *position starts at 0; false at the end or at malformed bytes. In an array names are
 * empty. */
bool table_next(struct span fields, bool array, size_t *position, struct table_field *ret_field);

#endif
