#include <criterion/criterion.h>
#include <outbox/outbox.h>
#include <string.h>

Test(outbox, every_result_has_its_name)
{
    static const char *const names[] = {
        "OUTBOX_OK",    "OUTBOX_INVALID",    "OUTBOX_NO_TRANSACTION", "OUTBOX_NO_MEMORY",
        "OUTBOX_RETRY", "OUTBOX_CONNECTION", "OUTBOX_SCHEMA",         "OUTBOX_DATABASE"};
    for (int i = 0; i < 8; i++) {
        cr_assert_str_eq(outbox_result_name((outbox_result)i), names[i]);
    }
    cr_assert_str_eq(outbox_result_name((outbox_result)8), "OUTBOX_?");
}

Test(outbox, id_as_text_and_back)
{
    struct outbox_id id;
    struct outbox_id again;
    char text[37];
    outbox_id_new(&id);
    outbox_id_format(&id, text);
    cr_assert_eq(text[14], '7', "not version 7: %s", text);
    cr_assert_eq(outbox_id_parse(text, &again), OUTBOX_OK);
    cr_assert_arr_eq(id.bytes, again.bytes, sizeof(id.bytes));
}

Test(outbox, no_id)
{
    struct outbox_id id = {{0xaa}};
    cr_assert_eq(outbox_id_parse(NULL, &id), OUTBOX_INVALID);
    cr_assert_eq(outbox_id_parse("", &id), OUTBOX_INVALID);
    cr_assert_eq(outbox_id_parse("0190163d-8694-739b-aea5-966c26f8ad911", &id), OUTBOX_INVALID);
    cr_assert_eq(id.bytes[0], 0xaa);
}
