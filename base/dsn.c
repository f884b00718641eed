#include "base/dsn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dsn_dialect.h"
#include "base/text.h"

#define NAME_MAX_BYTES 40 /* longer than any of them */
#define NAMES_MAX 100     /* more than a dialect has */

const char *const dsn_number[] = {NULL};
const char *const dsn_ports[] = {NULL};

/* A piece of the string. */
struct piece {
    const char *at;
    size_t size;
};

static bool
fail(struct error *reterr, const char *words)
{
    return error_set(reterr, ERROR_CONFIG, "%s", words);
}

static bool
no_string(const struct dsn_dialect *dialect, struct error *reterr)
{
    return fail(reterr, dialect->expected);
}

/* Only a name that resembles a known one is certainly not part of a password. */
static bool
unknown_name(const struct dsn_dialect *dialect, struct piece name, struct error *reterr)
{
    char word[NAME_MAX_BYTES + 1];
    const char *names[NAMES_MAX];
    if (name.size > NAME_MAX_BYTES) {
        return no_string(dialect, reterr);
    }
    memcpy(word, name.at, name.size);
    word[name.size] = '\0';
    for (size_t i = 0; i < dialect->option_count; i++) {
        names[i] = dialect->options[i].name;
    }
    const char *const nearest = text_nearest(word, names, dialect->option_count);
    return nearest == NULL ? no_string(dialect, reterr)
                           : error_set(reterr, ERROR_CONFIG, "%s; did you mean \"%s\"?",
                                       dialect->unknown, nearest);
}

static const struct dsn_option *
find_option(const struct dsn_dialect *dialect, struct piece name)
{
    for (size_t i = 0; i < dialect->option_count; i++) {
        const struct dsn_option *const option = &dialect->options[i];
        if (strlen(option->name) == name.size && memcmp(option->name, name.at, name.size) == 0) {
            return option;
        }
    }
    return NULL;
}

static bool
is_number(const char *text)
{
    const char *const digits = text[0] == '-' ? text + 1 : text;
    const size_t size = strlen(digits);
    return size > 0 && size < 10 && strspn(digits, "0123456789") == size;
}

static bool
are_ports(const char *list)
{
    for (;;) {
        const size_t size = strcspn(list, ",");
        const unsigned long port = strtoul(list, NULL, 10);
        if (strspn(list, "0123456789") != size || size > 5 ||
            (size > 0 && (port == 0 || port > 65535))) {
            return false;
        }
        if (list[size] == '\0') {
            return true;
        }
        list += size + 1;
    }
}

static bool
is_one_of(const char *text, const char *const *values)
{
    while (*values != NULL && strcmp(text, *values) != 0) {
        values++;
    }
    return *values != NULL;
}

static bool
wrong_choice(const struct dsn_option *option, struct error *reterr)
{
    char list[200] = "";
    for (size_t i = 0; option->values[i] != NULL; i++) {
        const char *const between = i == 0 ? "" : option->values[i + 1] == NULL ? " or " : ", ";
        (void)strncat(list, between, sizeof(list) - strlen(list) - 1); /* fits */
        (void)strncat(list, option->values[i], sizeof(list) - strlen(list) - 1);
    }
    return error_set(reterr, ERROR_CONFIG, "%s must be %s", option->name, list);
}

/* An empty value is the default. */
static bool
check_value(const struct dsn_option *option, const char *value, struct error *reterr)
{
    if (option->values == NULL || value[0] == '\0') {
        return true;
    }
    if (option->values == dsn_number) {
        return is_number(value) ||
               error_set(reterr, ERROR_CONFIG, "%s must be a whole number", option->name);
    }
    if (option->values == dsn_ports) {
        return are_ports(value) ||
               fail(reterr, "a port must be a number from 1 to 65535; in a URL write / in user and "
                            "password as %2f, @ as %40");
    }
    return is_one_of(value, option->values) || wrong_choice(option, reterr);
}

/* Takes `value`, also when it fails. */
static bool
add(struct dsn *dsn, const struct dsn_option *option, char *value, struct error *reterr)
{
    struct dsn_parameter *const longer =
        value == NULL ? NULL
                      : realloc(dsn->parameters, (dsn->count + 1) * sizeof(*dsn->parameters));
    if (longer == NULL) {
        free(value);
        return error_set(reterr, ERROR_TRANSIENT, "out of memory");
    }
    dsn->parameters = longer;
    dsn->parameters[dsn->count++] = (struct dsn_parameter){option->name, value};
    return check_value(option, value, reterr);
}

static bool
add_named(struct dsn *dsn, const char *name, char *value, struct error *reterr)
{
    return add(dsn, find_option(dsn->dialect, (struct piece){name, strlen(name)}), value, reterr);
}

/* ---- name = value ---- */

#define BLANKS " \t\n\v\f\r"

static bool
is_blank(char c)
{
    return c != '\0' && strchr(BLANKS, c) != NULL;
}

/* The value at *at, quoted or not, without its backslashes; *at moves past it. NULL if a quote is not closed or memory is out;
 * *ret_open says which. */
static char *
cut_value(const char **at, bool *ret_open)
{
    const char *from = *at;
    const bool quoted = *from == '\'';
    char *const value = malloc(strlen(from) + 1);
    size_t size = 0;
    from += quoted ? 1 : 0;
    while (value != NULL && *from != '\0' && !(quoted ? *from == '\'' : is_blank(*from))) {
        from += *from == '\\' ? 1 : 0;
        if (*from != '\0') {
            value[size++] = *from++;
        }
    }
    *ret_open = value != NULL && quoted && *from == '\0';
    if (*ret_open || value == NULL) {
        free(value);
        return NULL;
    }
    value[size] = '\0';
    *at = from + (quoted ? 1 : 0);
    return value;
}

static bool
parse_pair(const char **at, struct dsn *dsn, struct error *reterr)
{
    const struct piece name = {*at, strcspn(*at, "=" BLANKS)};
    *at += name.size;
    *at += strspn(*at, BLANKS);
    if (**at != '=') {
        return no_string(dsn->dialect, reterr);
    }
    *at += 1;
    *at += strspn(*at, BLANKS);
    const struct dsn_option *const option = find_option(dsn->dialect, name);
    if (option == NULL) {
        return unknown_name(dsn->dialect, name, reterr);
    }
    bool open = false;
    char *const value = cut_value(at, &open);
    return open ? no_string(dsn->dialect, reterr) : add(dsn, option, value, reterr);
}

static bool
parse_pairs(const char *text, struct dsn *dsn, struct error *reterr)
{
    text += strspn(text, BLANKS);
    while (*text != '\0') {
        if (!parse_pair(&text, dsn, reterr)) {
            return false;
        }
        text += strspn(text, BLANKS);
    }
    return true;
}

/* ---- scheme:// ---- */

static bool
misplaced_at(struct error *reterr)
{
    return fail(reterr, "an '@' after the host: in user, password and database of a URL write / as "
                        "%2f, @ as %40, ? as %3f");
}

static int
hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    const char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Undoes percent-encoding into new memory. */
static bool
decode(struct piece piece, char **ret_text, struct error *reterr)
{
    char *const text = malloc(piece.size + 1);
    size_t size = 0;
    if (text == NULL) {
        return error_set(reterr, ERROR_TRANSIENT, "out of memory");
    }
    for (size_t i = 0; i < piece.size; i++) {
        char byte = piece.at[i];
        if (byte == '%') {
            const int high = i + 2 < piece.size ? hex_digit(piece.at[i + 1]) : -1;
            const int low = high >= 0 ? hex_digit(piece.at[i + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0)) {
                free(text);
                return fail(reterr,
                            "in a URL a '%' must be followed by two hexadecimal digits, not 00");
            }
            byte = (char)(high * 16 + low);
            i += 2;
        }
        text[size++] = byte;
    }
    text[size] = '\0';
    *ret_text = text;
    return true;
}

static bool
add_decoded(struct dsn *dsn, const char *name, struct piece piece, struct error *reterr)
{
    char *value = NULL;
    return piece.size == 0 ||
           (decode(piece, &value, reterr) && add_named(dsn, name, value, reterr));
}

static struct piece
cut(const char **at, const char *stops)
{
    const struct piece piece = {*at, strcspn(*at, stops)};
    *at += piece.size;
    return piece;
}

static bool
parse_userinfo(const char **at, struct dsn *dsn, struct error *reterr)
{
    if ((*at)[strcspn(*at, "@/")] != '@') {
        return true; /* there is none */
    }
    const struct piece user = cut(at, ":@");
    struct piece password = {*at, 0};
    if (**at == ':') {
        ++*at;
        password = cut(at, "@");
    }
    ++*at;
    return add_decoded(dsn, "user", user, reterr) && add_decoded(dsn, "password", password, reterr);
}

/* One host and its port, to the comma behind it or the end of all hosts. */
static bool
skip_host(const char **at, struct piece *ret_host, struct piece *ret_port, struct error *reterr)
{
    if (**at == '[') {
        ++*at;
        *ret_host = cut(at, "]");
        if (**at != ']' || ret_host->size == 0 || strchr(":/?,", (*at)[1]) == NULL) {
            return fail(reterr, "in a URL a '[' needs its ']', round an address of IPv6");
        }
        ++*at;
    } else {
        *ret_host = cut(at, ":/?,");
    }
    *ret_port = (struct piece){*at, 0};
    if (**at == ':') {
        ++*at;
        *ret_port = cut(at, "/?,");
    }
    return true;
}

/* At the end of a list that has room for it; a comma before it unless it is the first. */
static void
append(char *list, struct piece piece, bool first)
{
    char *end = list + strlen(list);
    if (!first) {
        *end++ = ',';
    }
    memcpy(end, piece.at, piece.size);
    end[piece.size] = '\0';
}

static bool
parse_hosts(const char **at, struct dsn *dsn, struct error *reterr)
{
    const size_t size = strlen(*at) + 2;
    char *const hosts = calloc(2, size);
    if (hosts == NULL) {
        return error_set(reterr, ERROR_TRANSIENT, "out of memory");
    }
    char *const all_ports = hosts + size;
    bool good;
    bool first = true;
    struct piece host = {0};
    struct piece port = {0};
    while ((good = skip_host(at, &host, &port, reterr))) {
        append(hosts, host, first);
        append(all_ports, port, first);
        first = false;
        if (**at != ',') {
            break;
        }
        ++*at;
    }
    if (good && (strchr(hosts, '@') != NULL || strchr(all_ports, '@') != NULL)) {
        good = misplaced_at(reterr);
    }
    good = good && add_decoded(dsn, "host", (struct piece){hosts, strlen(hosts)}, reterr) &&
           add_decoded(dsn, "port", (struct piece){all_ports, strlen(all_ports)}, reterr);
    explicit_bzero(hosts, 2 * size);
    free(hosts);
    return good;
}

static bool
parse_parameter(struct piece name, struct piece text, struct dsn *dsn, struct error *reterr)
{
    static const char ssl[] = "ssl"; /* of JDBC; libpq takes it with this value only */
    if (name.size == strlen(ssl) && memcmp(name.at, ssl, name.size) == 0) {
        return text.size == 4 && memcmp(text.at, "true", 4) == 0
                   ? add_named(dsn, "sslmode", strdup("require"), reterr)
                   : fail(reterr, "ssl must be true; write sslmode instead");
    }
    const struct dsn_option *const option = find_option(dsn->dialect, name);
    char *value = NULL;
    if (option == NULL) {
        return unknown_name(dsn->dialect, name, reterr);
    }
    return decode(text, &value, reterr) && add(dsn, option, value, reterr);
}

static bool
parse_query(const char *at, struct dsn *dsn, struct error *reterr)
{
    while (*at != '\0') {
        const struct piece name = cut(&at, "=&");
        if (*at != '=') {
            return no_string(dsn->dialect, reterr);
        }
        ++at;
        const struct piece value = cut(&at, "&");
        if (memchr(value.at, '=', value.size) != NULL) {
            return fail(reterr, "in the query of a URL write = in a value as %3d");
        }
        if (!parse_parameter(name, value, dsn, reterr)) {
            return false;
        }
        at += *at == '&' ? 1 : 0;
    }
    return true;
}

static bool
parse_url(const char *at, struct dsn *dsn, struct error *reterr)
{
    if (!parse_userinfo(&at, dsn, reterr) || !parse_hosts(&at, dsn, reterr)) {
        return false;
    }
    if (*at == '/') {
        ++at;
        const struct piece name = cut(&at, "?");
        if (memchr(name.at, '@', name.size) != NULL) {
            return misplaced_at(reterr);
        }
        if (!add_decoded(dsn, "dbname", name, reterr)) {
            return false;
        }
    }
    return *at == '\0' || parse_query(at + 1, dsn, reterr);
}

/* The length of the scheme that the string begins with; 0: it is no URL of this dialect. */
static size_t
scheme_size(const struct dsn_dialect *dialect, const char *text)
{
    for (const char *const *scheme = dialect->schemes; *scheme != NULL; scheme++) {
        if (strncmp(text, *scheme, strlen(*scheme)) == 0) {
            return strlen(*scheme);
        }
    }
    return 0;
}

static bool
parse(const struct dsn_dialect *dialect, const char *text, struct dsn *ret_dsn,
      struct error *reterr)
{
    struct dsn dsn = {.dialect = dialect};
    const size_t scheme = scheme_size(dialect, text);
    if (scheme > 0 ? parse_url(text + scheme, &dsn, reterr) : parse_pairs(text, &dsn, reterr)) {
        *ret_dsn = dsn;
        return true;
    }
    dsn_done(&dsn);
    return false;
}

bool
dsn_parse(const char *text, struct dsn *ret_dsn, struct error *reterr)
{
    return parse(&dsn_libpq, text, ret_dsn, reterr);
}

/* Without it the client libraries would refuse every certificate, or none. */
static bool
has_root(const struct dsn *dsn, struct error *reterr)
{
    const char *const mode = dsn_value(dsn, "sslmode");
    return mode == NULL || strncmp(mode, "verify", strlen("verify")) != 0 ||
           dsn_value(dsn, "sslrootcert") != NULL ||
           error_set(reterr, ERROR_CONFIG,
                     "sslmode=%s needs sslrootcert, the file of the authority that has signed the "
                     "server's certificate",
                     mode);
}

bool
dsn_mysql_parse(const char *text, struct dsn *ret_dsn, struct error *reterr)
{
    struct dsn dsn;
    if (!parse(&dsn_mysql, text, &dsn, reterr)) {
        return false;
    }
    if (!has_root(&dsn, reterr)) {
        dsn_done(&dsn);
        return false;
    }
    *ret_dsn = dsn;
    return true;
}

static bool
check(bool (*parse_text)(const char *text, struct dsn *ret_dsn, struct error *reterr),
      const char *text, struct error *reterr)
{
    struct dsn dsn;
    if (!parse_text(text, &dsn, reterr)) {
        return false;
    }
    dsn_done(&dsn);
    return true;
}

bool
dsn_check(const char *text, struct error *reterr)
{
    return check(dsn_parse, text, reterr);
}

bool
dsn_mysql_check(const char *text, struct error *reterr)
{
    return check(dsn_mysql_parse, text, reterr);
}

const char *
dsn_value(const struct dsn *dsn, const char *name)
{
    for (size_t i = dsn->count; i > 0; i--) {
        const struct dsn_parameter *const parameter = &dsn->parameters[i - 1];
        if (strcmp(parameter->name, name) == 0) {
            return parameter->value[0] != '\0' ? parameter->value : NULL;
        }
    }
    return NULL;
}

/* A '?' may stand in the password. */
static bool
has_query(const char *url)
{
    const char *at = strchr(url, '/') + 2;
    const size_t userinfo = strcspn(at, "@/");
    at += at[userinfo] == '@' ? userinfo : 0;
    return strchr(at, '?') != NULL;
}

char *
dsn_with(const struct dsn_dialect *dialect, const char *text, const char *name, const char *value)
{
    const bool url = scheme_size(dialect, text) > 0;
    const size_t size = strlen(text) + strlen(name) + 3 * strlen(value) + 6;
    char *const longer = malloc(size);
    if (longer == NULL) {
        return NULL;
    }
    const char *const before = !url ? " " : has_query(text) ? "&" : "?";
    char *at = longer + snprintf(longer, size, "%s%s%s=%s", text, before, name, url ? "" : "'");
    for (; *value != '\0'; value++) {
        if (url) {
            at += snprintf(at, 4, "%%%02x", (unsigned char)*value);
        } else {
            *at = '\\';
            at += *value == '\'' || *value == '\\' ? 1 : 0;
            *at++ = *value;
        }
    }
    if (!url) {
        *at++ = '\'';
    }
    *at = '\0';
    return longer;
}

void
dsn_done(struct dsn *dsn)
{
    for (size_t i = 0; i < dsn->count; i++) {
        explicit_bzero(dsn->parameters[i].value, strlen(dsn->parameters[i].value));
        free(dsn->parameters[i].value);
    }
    free(dsn->parameters);
    *dsn = (struct dsn){0};
}
