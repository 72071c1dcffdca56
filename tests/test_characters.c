/* Texts of others made fit for a line and for JSON: jansson says what UTF-8 is. */
#include "support/characters.h"
#include "support/random.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool json_takes(const char *text) {
    json_t *string = json_string(text);
    json_decref(string);
    return string != NULL;
}

static void assert_made(const char *text, const char *expected) {
    char made[64];
    strcpy(made, text);
    make_utf8(made);
    assert_string_equal(made, expected);
}

static void bytes_that_are_no_text_become_question_marks(void **state) {
    (void)state;
    assert_made("", "");
    assert_made("caf\xe9.jpg", "caf?.jpg"); /* Latin-1 */
    assert_made("caf\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x98\x80",
                "caf\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x98\x80");
    assert_made("cut \xe4\xb8", "cut ??");          /* in the middle of a character */
    assert_made("\xc0\xaf \xed\xa0\x80", "?? ???"); /* too long a form, a surrogate */
    assert_made("\xf4\x90\x80\x80\xff", "?????");   /* beyond the last character */
}

/* Bytes drawn from the borders of every rule: what JSON takes stays, the rest is made so. */
static void json_takes_all_that_is_made(void **state) {
    (void)state;
    static const uint8_t borders[] = {'a',  0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                      0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
                                      0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    struct random_sequence sequence = random_sequence(1, RANDOM_AUGMENT, 0, 0);
    int taken = 0;
    for (int n = 0; n < 200000; n++) {
        char text[8] = "", made[8];
        uint32_t size = 1 + random_below(&sequence, 5);
        for (uint32_t i = 0; i < size; i++)
            text[i] = (char)borders[random_below(&sequence, sizeof borders)];
        strcpy(made, text);
        make_utf8(made);
        assert_true(json_takes(made));
        assert_int_equal(json_takes(text), strcmp(text, made) == 0);
        taken += json_takes(text);
    }
    assert_true(taken > 1000 && taken < 190000);
}

static void control_characters_become_spaces(void **state) {
    (void)state;
    char text[] = "a\nb\x7f\tc\xc3\xa9";
    make_one_line(text);
    assert_string_equal(text, "a b  c\xc3\xa9");
}

static void columns_count_characters(void **state) {
    (void)state;
    static const char *const texts[] = {"abc", "caf\xc3\xa9", "\xe4\xb8\xad \xf0\x9f\x98\x80"};
    static const int characters[] = {3, 4, 3};
    char line[64];
    for (int i = 0; i < 3; i++) {
        snprintf(line, sizeof line, "%-*s|", column_bytes(texts[i], 6), texts[i]);
        assert_int_equal(strchr(line, '|') - line, (int)strlen(texts[i]) + 6 - characters[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_are_no_text_become_question_marks),
        cmocka_unit_test(json_takes_all_that_is_made),
        cmocka_unit_test(control_characters_become_spaces),
        cmocka_unit_test(columns_count_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
