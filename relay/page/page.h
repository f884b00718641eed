/* relay/page/page.h - the files of the status page. They are the same whoever asks: what the page shows it asks for itself. */
#ifndef RELAY_PAGE_PAGE_H
#define RELAY_PAGE_PAGE_H

#include <stddef.h>

struct page_file {
    const char *path; /* as a browser asks for it: "/", "/page.js" */
    const char *type; /* Content-Type */
    const char *text;
    size_t size;
};

/* NULL: there is none. */
const struct page_file *page_find(const char *path);

#endif
