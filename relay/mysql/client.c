#include "relay/mysql/client.h"

#include <errmsg.h>
#include <pthread.h>

static void
prepare(void)
{
    (void)mysql_library_init(0, NULL, NULL); /* without memory mysql_init will fail, too */
}

void
my_client_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, prepare); /* cannot fail */
}

void
my_client_thread_end(void)
{
    mysql_thread_end();
}

#ifdef MARIADB_PACKAGE_VERSION

/* Of verify-ca the library knows nothing: it looks at both or at nothing (3.3), so that checks the name as well. */
void
my_client_set_tls(MYSQL *mysql, enum my_tls tls)
{
    const my_bool on = tls != MY_TLS_DISABLE;
    const my_bool verify = tls == MY_TLS_VERIFY_CA || tls == MY_TLS_VERIFY_FULL;
    (void)mysql_optionsv(mysql, MYSQL_OPT_SSL_ENFORCE, &on); /* fails for want of memory only */
    (void)mysql_optionsv(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
}

int
my_client_socket(MYSQL *mysql)
{
    return mysql_get_socket(mysql);
}

bool
my_client_is_own_error(unsigned code)
{
    return IS_MYSQL_ERROR(code) || IS_MARIADB_ERROR(code);
}

#else

void
my_client_set_tls(MYSQL *mysql, enum my_tls tls)
{
    static const unsigned modes[] = {
        [MY_TLS_DISABLE] = SSL_MODE_DISABLED,
        [MY_TLS_REQUIRE] = SSL_MODE_REQUIRED,
        [MY_TLS_VERIFY_CA] = SSL_MODE_VERIFY_CA,
        [MY_TLS_VERIFY_FULL] = SSL_MODE_VERIFY_IDENTITY,
    };
    (void)mysql_options(mysql, MYSQL_OPT_SSL_MODE, &modes[tls]); /* an option that it knows */
}

int
my_client_socket(MYSQL *mysql)
{
    return (int)mysql->net.fd;
}

bool
my_client_is_own_error(unsigned code)
{
    return code >= CR_MIN_ERROR && code <= CR_MAX_ERROR;
}

#endif
