#include "relay/mysql/kind.h"

#include "relay/mysql/admin.h"
#include "relay/mysql/check.h"
#include "relay/mysql/config.h"
#include "relay/mysql/discover.h"
#include "relay/mysql/init.h"
#include "relay/mysql/source.h"

const struct database_kind database_mysql = {
    .name = "mysql",
    .dsn_words = "a string like libpq's: `host=db dbname=shop user=relay` or "
                 "`mysql://relay@db/shop`, with port, password, connect_timeout, and sslmode, "
                 "sslrootcert, sslcert, sslkey as there.",
    .dsn_take = my_dsn_take,
    .dsn_place = my_dsn_place,
    .dsn_server = my_dsn_server,
    .dsn_advise = my_dsn_advise,
    .dsn_has_password = my_dsn_has_password,
    .keys = my_keys,
    .source_new = source_mysql_new,
    .admin_open = my_admin_open,
    .discover = discover_mysql,
    .check = check_mysql,
    .init = init_mysql,
    .init_print = init_mysql_print,
    .init_print_roles = init_mysql_print_roles,
};
