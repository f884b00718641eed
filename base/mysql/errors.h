/* base/mysql/errors.h - the error numbers of servers and client libraries, independent of the library's headers: each library
 * has only the numbers of its own server, without those that this server no longer uses. */
#ifndef BASE_MYSQL_ERRORS_H
#define BASE_MYSQL_ERRORS_H

#include <errmsg.h>
#include <mysqld_error.h>

/* Of both servers once, and of MariaDB still. */
#ifndef ER_DISK_FULL
#define ER_DISK_FULL 1021
#endif
#ifndef ER_NORMAL_SHUTDOWN
#define ER_NORMAL_SHUTDOWN 1077
#endif

/* Of MariaDB. */
#ifndef ER_CONNECTION_KILLED
#define ER_CONNECTION_KILLED 1927
#endif
#ifndef ER_CONSTRAINT_FAILED
#define ER_CONSTRAINT_FAILED 4025
#endif
#ifndef CR_ERR_NET_READ
#define CR_ERR_NET_READ 5013
#endif
#ifndef CR_ERR_NET_WRITE
#define CR_ERR_NET_WRITE 5014
#endif

/* Of MySQL. */
#ifndef ER_TRANSACTION_ROLLBACK_DURING_COMMIT
#define ER_TRANSACTION_ROLLBACK_DURING_COMMIT 3101
#endif
#ifndef ER_SESSION_WAS_KILLED
#define ER_SESSION_WAS_KILLED 3169
#endif
#ifndef ER_LOCK_NOWAIT
#define ER_LOCK_NOWAIT 3572
#endif
#ifndef ER_CHECK_CONSTRAINT_VIOLATED
#define ER_CHECK_CONSTRAINT_VIOLATED 3819
#endif
#ifndef ER_CLIENT_INTERACTION_TIMEOUT
#define ER_CLIENT_INTERACTION_TIMEOUT 4031
#endif

#endif
