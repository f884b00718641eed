#include "relay/page/page.h"

#include <string.h>

#include "index_html.h"
#include "page_css.h"
#include "page_js.h"
#include "page_svg.h"

/* Without the zero byte. */
#define TEXT(text) (text), sizeof(text) - 1

static const struct page_file files[] = {
    {"/", "text/html; charset=utf-8", TEXT(html_index)},
    {"/page.css", "text/css; charset=utf-8", TEXT(css_page)},
    {"/page.js", "text/javascript; charset=utf-8", TEXT(js_page)},
    {"/page.svg", "image/svg+xml", TEXT(svg_page)},
};

const struct page_file *
page_find(const char *path)
{
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strcmp(files[i].path, path) == 0) {
            return &files[i];
        }
    }
    return NULL;
}
