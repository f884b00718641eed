#include <criterion/criterion.h>
#include <string.h>

#include "relay/page/page.h"

static const char *const paths[] = {"/", "/page.css", "/page.js", "/page.svg"};

Test(page, files)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const struct page_file *const file = page_find(paths[i]);
        cr_assert_not_null(file, "%s", paths[i]);
        cr_assert_eq(strlen(file->text), file->size);
        cr_assert_gt(file->size, 100);
    }
    cr_assert_null(page_find("/index.html"));
    cr_assert_null(page_find(""));
}

/* Promise: the page needs nothing from elsewhere, and runs under default-src 'self'. */
Test(page, nothing_from_outside_and_nothing_inline)
{
    static const char *const forbidden[] = {"http://",  "https://", " style=",    "<style",
                                            " onclick", " onload=", "javascript:"};
    const char *const html = page_find("/")->text;
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        cr_assert_null(strstr(html, forbidden[i]), "%s", forbidden[i]);
    }
    for (const char *at = html; (at = strstr(at, "<script")) != NULL; at++) {
        cr_assert_eq(strncmp(at, "<script src=", 12), 0);
    }
    cr_assert_null(strstr(page_find("/page.css")->text, "url("));
    cr_assert_null(strstr(page_find("/page.css")->text, "@import"));
}

/* Promise: whatever a key or a payload has in it is shown as text. */
Test(page, the_script_makes_only_text)
{
    static const char *const forbidden[] = {"innerHTML",      "outerHTML", "insertAdjacentHTML",
                                            "document.write", "eval(",     "new Function"};
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        cr_assert_null(strstr(page_find("/page.js")->text, forbidden[i]), "%s", forbidden[i]);
    }
}
