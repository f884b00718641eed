#include <criterion/criterion.h>

#include "relay/http/accept.h"

Test(http_accept, openmetrics_where_it_is_asked_for)
{
    static const char *const open[] = {
        "application/openmetrics-text",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        "text/html, APPLICATION/OpenMetrics-Text;q=0.5",
        /* Prometheus 2.42 */
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0."
        "75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "text/plain;q=0.999 , application/openmetrics-text; q=1",
        NULL,
    };
    for (size_t i = 0; open[i] != NULL; i++) {
        cr_assert(accept_takes_openmetrics(open[i]), "%s", open[i]);
    }
}

Test(http_accept, the_older_format_everywhere_else)
{
    static const char *const text[] = {
        "",
        "*/*",
        "text/plain",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=0.0",
        "application/openmetrics-text;q=",
        "application/openmetrics-text;q=2",
        "application/openmetrics-text;q=0.2, text/plain;q=0.3",
        "application/openmetrics-textual",
        "x/application/openmetrics-text",
        ",,;;q=1,",
        ";q=",
        NULL,
    };
    cr_assert_not(accept_takes_openmetrics(NULL));
    for (size_t i = 0; text[i] != NULL; i++) {
        cr_assert_not(accept_takes_openmetrics(text[i]), "%s", text[i]);
    }
}
