#include "base/dsn_dialect.h"

/* All names that libpq 14 to 18 knows, and the values of those that have a fixed set. */
static const char *const sslmodes[] = {"disable",   "allow",       "prefer", "require",
                                       "verify-ca", "verify-full", NULL};
static const char *const ssl_versions[] = {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", NULL};
static const char *const preferences[] = {"disable", "prefer", "require", NULL};
static const char *const certificate_modes[] = {"disable", "allow", "require", NULL};
static const char *const negotiations[] = {"postgres", "direct", NULL};
static const char *const balances[] = {"disable", "random", NULL};
static const char *const session_attrs[] = {"any",     "read-write",     "read-only", "primary",
                                            "standby", "prefer-standby", NULL};

static const struct dsn_option options[] = {
    {"host", NULL},
    {"hostaddr", NULL},
    {"port", dsn_ports},
    {"dbname", NULL},
    {"user", NULL},
    {"password", NULL},
    {"passfile", NULL},
    {"require_auth", NULL},
    {"channel_binding", preferences},
    {"connect_timeout", dsn_number},
    {"client_encoding", NULL},
    {"options", NULL},
    {"application_name", NULL},
    {"fallback_application_name", NULL},
    {"keepalives", dsn_number},
    {"keepalives_idle", dsn_number},
    {"keepalives_interval", dsn_number},
    {"keepalives_count", dsn_number},
    {"tcp_user_timeout", dsn_number},
    {"replication", NULL},
    {"gssencmode", preferences},
    {"sslmode", sslmodes},
    {"sslnegotiation", negotiations},
    {"sslcompression", dsn_number},
    {"sslcert", NULL},
    {"sslkey", NULL},
    {"sslkeylogfile", NULL},
    {"sslpassword", NULL},
    {"sslcertmode", certificate_modes},
    {"sslrootcert", NULL},
    {"sslcrl", NULL},
    {"sslcrldir", NULL},
    {"sslsni", dsn_number},
    {"requirepeer", NULL},
    {"ssl_min_protocol_version", ssl_versions},
    {"ssl_max_protocol_version", ssl_versions},
    {"min_protocol_version", NULL},
    {"max_protocol_version", NULL},
    {"krbsrvname", NULL},
    {"gsslib", NULL},
    {"gssdelegation", dsn_number},
    {"scram_client_key", NULL},
    {"scram_server_key", NULL},
    {"service", NULL},
    {"servicefile", NULL},
    {"target_session_attrs", session_attrs},
    {"load_balance_hosts", balances},
    {"oauth_issuer", NULL},
    {"oauth_client_id", NULL},
    {"oauth_client_secret", NULL},
    {"oauth_scope", NULL},
};

const struct dsn_dialect dsn_libpq = {
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .schemes = {"postgresql://", "postgres://"},
    .expected = "expected a libpq connection string: \"host=db dbname=shop user=relay\", values "
                "with blanks in single quotes, or \"postgresql://relay@db/shop\"",
    .unknown = "libpq knows no such connection option",
};
