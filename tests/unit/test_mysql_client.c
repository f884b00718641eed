#include "base/mysql/client.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* What a connection of another library looks like for this one: something else is in the place of the functions. */
static MYSQL *
foreign(void)
{
    MYSQL *mysql = calloc(1, sizeof(*mysql));
    memset(&mysql->methods, 0x5a, sizeof(mysql->methods));
    return mysql;
}

Test(mysql_client, only_its_own_connections_are_taken)
{
    MYSQL *mysql = mysql_init(NULL);
    MYSQL *other = foreign();
    cr_expect(mysql_client_made(mysql));
    cr_expect_not(mysql_client_made(other));
    memcpy(&other->methods, &(const void *){&other}, sizeof(other->methods)); /* some memory */
    cr_expect_not(mysql_client_made(other));
    memcpy(&other->methods, &(const char *){mysql_client_name}, sizeof(other->methods)); /* ours */
    cr_expect_not(mysql_client_made(other));
    mysql_close(mysql);
    free(other);
}

Test(mysql_client, a_connection_that_is_not_there_has_no_socket)
{
    MYSQL *mysql = mysql_init(NULL);
    cr_expect_eq(mysql_client_socket(mysql), -1);
    mysql_close(mysql);
}

Test(mysql_client, errors_of_its_own)
{
    cr_expect(mysql_client_is_own_error(2006)); /* the server has gone away */
    cr_expect(mysql_client_is_own_error(2013));
    cr_expect_not(mysql_client_is_own_error(1213));
    cr_expect_not(mysql_client_is_own_error(4031));
    cr_expect_not(mysql_client_is_own_error(0));
}
