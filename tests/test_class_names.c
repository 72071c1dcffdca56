/* What classes are called: who names them, what a run folder keeps of it, and which pictures it
 * cannot go on with. */
#include "data/class_names.h"
#include "support/file.h"
#include "support_sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int make_set(void **state) {
    (void)state;
    sources_folder("class-names");
    sources_make_set();
    sources_run("mkdir run");
    return 0;
}

static enum status keep(const char *name, enum data_part part) {
    struct picture_source *source = sources_open(name, part);
    enum status status = class_names_keep(sources_path("run"), source);
    picture_source_close(source);
    return status;
}

static void assert_kept(const char *expected) {
    char *text;
    size_t size;
    assert_int_equal(file_read(sources_path("run/classes.txt"), 1 << 20, &text, &size), STATUS_OK);
    assert_string_equal(text, expected);
    free(text);
}

static void a_run_keeps_what_its_pictures_say(void **state) {
    (void)state;
    struct data_config config = sources_config("folder");
    struct class_list list;
    assert_int_equal(keep("shards", DATA_TRAIN), STATUS_OK); /* these have numbers only */
    assert_int_equal(class_names_read(&list, &config, sources_path("run")), STATUS_OK);
    assert_int_equal(list.count, 0);
    assert_int_equal(keep("folder", DATA_TRAIN), STATUS_OK);
    assert_kept("ant\nbee\nwild cat\n");
    assert_int_equal(keep("folder", DATA_TEST), STATUS_OK); /* without a bee */
    assert_int_equal(keep("shards", DATA_TRAIN), STATUS_OK);
    assert_kept("ant\nbee\nwild cat\n");
    assert_int_equal(class_names_read(&list, &config, sources_path("run")), STATUS_OK);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.titles[2], "wild cat");
    class_list_release(&list);
    config = sources_config("idx"); /* its labels are other ones */
    assert_int_equal(class_names_read(&list, &config, sources_path("run")), STATUS_OK);
    assert_int_equal(list.count, 0);
}

static void a_pack_names_what_it_was_made_of(void **state) {
    (void)state;
    sources_pack("folder", DATA_TRAIN, sources_path("packs/train.pack"));
    sources_run("rm -r folder shards");
    assert_int_equal(keep("pack", DATA_TRAIN), STATUS_OK);
    assert_kept("ant\nbee\nwild cat\n");
}

static void other_classes_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *change, *back, *words;
    } cases[] = {
        {"mv folder/train/bee folder/train/cow", "mv folder/train/cow folder/train/bee",
         "class 1 is 'cow' in "},
        {"mv folder/train/ant folder/train/zebu", "mv folder/train/zebu folder/train/ant",
         "class 0 is 'bee' in "},
        {"cp -r folder/train/bee folder/train/zebu", "rm -r folder/train/zebu",
         "class 3, 'zebu' in "},
        {"mv 'folder/train/wild cat' .", "mv 'wild cat' folder/train", "class 2, 'wild cat' in "},
    };
    assert_int_equal(keep("folder", DATA_TRAIN), STATUS_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sources_run(cases[i].change);
        assert_int_equal(keep("folder", DATA_TRAIN), STATUS_USAGE);
        assert_non_null(strstr(failure(), "class-names/folder/train"));
        assert_non_null(strstr(failure(), "class-names/run/classes.txt"));
        assert_non_null(strstr(failure(), cases[i].words));
        assert_sentence("this run began with other classes, choose another --out for these: ");
        assert_kept("ant\nbee\nwild cat\n");
        sources_run(cases[i].back);
    }
    assert_int_equal(keep("folder", DATA_TRAIN), STATUS_OK);
    sources_write("run/classes.txt", "ant\nant\n", 8);
    assert_int_equal(keep("folder", DATA_TRAIN), STATUS_USAGE);
    assert_sentence("classes.txt has the class 'ant' twice");
}

/* Titles are for people alone: a list with better ones is no other list. */
static void titles_may_change(void **state) {
    (void)state;
    static const char *const lists[] = {"bee\tApis\nant\n", "bee\nant\tFormica\n"};
    struct data_config config = sources_config("folder");
    struct picture_source *source;
    snprintf(config.class_list, sizeof config.class_list, "%s", sources_path("list.txt"));
    for (int i = 0; i < 2; i++) {
        sources_write("list.txt", lists[i], strlen(lists[i]));
        assert_int_equal(picture_source_open(&source, &config, DATA_TRAIN, NULL), STATUS_OK);
        assert_int_equal(class_names_keep(sources_path("run"), source), STATUS_OK);
        assert_kept(lists[i]);
        picture_source_close(source);
    }
}

static void given_names_win_and_numbers_come_last(void **state) {
    (void)state;
    char given[][MAX_CLASS_NAME] = {"one", "two"}, name[MAX_CLASS_NAME];
    static const char text[] = "a\tcaf\xc3\xa9\nb\tcaf\xe9\x1b[2J\nc\n";
    struct data_config config = {0};
    struct class_list list;
    const struct class_names names = {&config, &list}, numbers = {&config, NULL};
    char *copy = strdup(text);
    assert_int_equal(class_list_parse(&list, copy, strlen(copy), "list"), STATUS_OK);
    assert_string_equal(class_name(&names, 0, name), "caf\xc3\xa9");
    assert_string_equal(class_name(&names, 1, name), "caf? [2J"); /* fit for a line and for JSON */
    assert_string_equal(class_name(&names, 2, name), "c");
    assert_string_equal(class_name(&names, 3, name), "3");
    assert_string_equal(class_name(&numbers, 0, name), "0");
    config.class_names = given;
    config.class_name_count = 2;
    assert_string_equal(class_name(&names, 1, name), "two");
    assert_string_equal(class_name(&numbers, 0, name), "one");
    class_list_release(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_run_keeps_what_its_pictures_say, make_set),
        cmocka_unit_test_setup(a_pack_names_what_it_was_made_of, make_set),
        cmocka_unit_test_setup(other_classes_are_refused, make_set),
        cmocka_unit_test_setup(titles_may_change, make_set),
        cmocka_unit_test(given_names_win_and_numbers_come_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
