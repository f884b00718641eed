#include <criterion/criterion.h>
#include <string.h>

#include "consumers/inbox_private.h"

static struct inbox_error error;
static char long_text[512];

static const char *
text_of(size_t length)
{
    memset(long_text, 'x', length);
    long_text[length] = '\0';
    return long_text;
}

static void
expect(inbox_result result, inbox_result wanted, const char *words)
{
    cr_assert_eq(result, wanted, "%s", words);
    if (wanted != INBOX_OK) {
        cr_assert_eq(error.code, wanted);
        cr_assert(strstr(error.message, words) != NULL, "no \"%s\" in: %s", words, error.message);
    }
}

Test(inbox, every_result_has_its_name)
{
    static const char *const names[] = {"INBOX_OK",        "INBOX_INVALID",  "INBOX_NO_TRANSACTION",
                                        "INBOX_NO_MEMORY", "INBOX_RETRY",    "INBOX_CONNECTION",
                                        "INBOX_SCHEMA",    "INBOX_DATABASE", "INBOX_REDIS_LOST",
                                        "INBOX_LEASE_LOST"};
    for (int i = 0; i < 10; i++) {
        cr_assert_str_eq(inbox_result_name((inbox_result)i), names[i]);
    }
    cr_assert_str_eq(inbox_result_name((inbox_result)10), "INBOX_?");
}

Test(inbox, consumers_have_names)
{
    expect(inbox_check_consumer("billing", &error), INBOX_OK, "");
    expect(inbox_check_consumer(text_of(255), &error), INBOX_OK, "");
    expect(inbox_check_consumer(text_of(256), &error), INBOX_INVALID, "longer than 255");
    expect(inbox_check_consumer("", &error), INBOX_INVALID, "no name");
    expect(inbox_check_consumer(NULL, &error), INBOX_INVALID, "no name");
    expect(inbox_check_consumer("\xc3", &error), INBOX_INVALID, "UTF-8");
    cr_assert_eq(inbox_check_consumer(NULL, NULL), INBOX_INVALID);
}

Test(inbox, ids_have_rules)
{
    struct inbox_id ids[2] = {{"a", 1}, {text_of(256), 255}};
    expect(inbox_check_ids(ids, 2, &error), INBOX_OK, "");
    expect(inbox_check_ids(NULL, 0, &error), INBOX_OK, "");
    expect(inbox_check_ids(NULL, 1, &error), INBOX_INVALID, "NULL");
    expect(inbox_check_ids(ids, INBOX_BATCH_MAX_MESSAGES + 1, &error), INBOX_INVALID, "65537");
    ids[1].length = 256;
    expect(inbox_check_ids(ids, 2, &error), INBOX_INVALID, "message 1 is longer");
    ids[1] = (struct inbox_id){"", 0};
    expect(inbox_check_ids(ids, 2, &error), INBOX_INVALID, "message 1 has no id");
    ids[1] = (struct inbox_id){NULL, 1};
    expect(inbox_check_ids(ids, 2, &error), INBOX_INVALID, "message 1 has no id");
    ids[1] = (struct inbox_id){"a\0b", 3};
    expect(inbox_check_ids(ids, 2, &error), INBOX_INVALID, "zero bytes");
    ids[1] = (struct inbox_id){"\xff", 1};
    expect(inbox_check_ids(ids, 2, &error), INBOX_INVALID, "UTF-8");
}

Test(inbox, keys_have_rules)
{
    static char longest[INBOX_KEY_MAX_BYTES + 1];
    memset(longest, 'k', sizeof(longest));
    cr_assert_eq(inbox_check_key("k", 1, NULL), INBOX_OK);
    cr_assert_eq(inbox_check_key(longest, INBOX_KEY_MAX_BYTES, NULL), INBOX_OK);
    cr_assert_eq(inbox_check_key(longest, INBOX_KEY_MAX_BYTES + 1, NULL), INBOX_INVALID);
    cr_assert_eq(inbox_check_key("", 0, NULL), INBOX_INVALID);
    cr_assert_eq(inbox_check_key(NULL, 1, NULL), INBOX_INVALID);
    cr_assert_eq(inbox_check_key("a\0b", 3, NULL), INBOX_INVALID);
    cr_assert_eq(inbox_check_key("\xff", 1, NULL), INBOX_INVALID);
}

Test(inbox, forgetting_has_rules)
{
    cr_assert_eq(inbox_check_forget(1, 1, NULL), INBOX_OK);
    cr_assert_eq(inbox_check_forget(UINT64_C(3155760000), UINT32_MAX, NULL), INBOX_OK);
    cr_assert_eq(inbox_check_forget(UINT64_C(3155760001), 1, NULL), INBOX_INVALID);
    cr_assert_eq(inbox_check_forget(0, 1, NULL), INBOX_INVALID);
    cr_assert_eq(inbox_check_forget(1, 0, NULL), INBOX_INVALID);
}

Test(inbox, words_are_one_line)
{
    (void)inbox_fail(&error, INBOX_DATABASE, "one\ntwo");
    cr_assert_str_eq(error.message, "one");
}
