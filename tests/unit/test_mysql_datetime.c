#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "relay/mysql/datetime.h"

/* The text has memory of its own size, so the sanitizer notices a read past its end. */
static int64_t
us_of(const char *text)
{
    const size_t size = strlen(text);
    char *const exact = malloc(size > 0 ? size : 1);
    cr_assert_not_null(exact);
    memcpy(exact, text, size);
    const int64_t us = my_datetime_text_us(exact, size);
    free(exact);
    return us;
}

/* From MariaDB 10.11: select timestampdiff(microsecond, '1970-01-01', '…') */
Test(mysql_datetime, as_the_server_subtracts)
{
    static const struct {
        const char *text;
        int64_t us;
    } times[] = {
        {"1970-01-01 00:00:00.000000", 0},
        {"2026-01-02 03:04:05.678901", INT64_C(1767323045678901)},
        {"2000-02-29 23:59:59.000001", INT64_C(951868799000001)},
        {"1900-03-01 00:00:00.000000", INT64_C(-2203891200000000)},
        {"1000-01-01 00:00:00.000000", INT64_C(-30610224000000000)},
        {"9999-12-31 23:59:59.999999", INT64_C(253402300799999999)},
        {"2026-01-02 03:04:05", INT64_C(1767323045000000)},
        {"2026-01-02 03:04:05.67", INT64_C(1767323045670000)},
    };
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        cr_assert_eq(us_of(times[i].text), times[i].us, "of %s", times[i].text);
    }
}

Test(mysql_datetime, what_is_no_date)
{
    static const char *const texts[] = {
        "",
        "0000-00-00 00:00:00.000000",
        "2026-00-02 03:04:05.678901",
        "2026-13-02 03:04:05.678901",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:0x",
        "2026-01-02 03:04:05,678901",
        "2026-01-02 03:04:05.6789x1",
        "1767323045.678901000000000",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_assert_eq(us_of(texts[i]), INT64_MIN, "of %s", texts[i]);
    }
}
