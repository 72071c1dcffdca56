/* Sources of pictures: folder, shards and pack of one data set say the same; folders with all that
 * a disk may hold; pictures that cannot be read; the hold-out set. */
#include "data/bad_pictures.h"
#include "data/class_names.h"
#include "data/holdout.h"
#include "data/pack_write.h"
#include "support/file.h"
#include "support/memory.h"
#include "support_sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const all_sources[] = {"folder", "shards", "pack"};

static int make_set(void **state) {
    (void)state;
    allocate_fail_at(0);
    sources_folder("sources");
    sources_make_set();
    sources_pack("folder", DATA_TRAIN, sources_path("packs/train.pack"));
    sources_pack("folder", DATA_TEST, sources_path("packs/val.pack"));
    return 0;
}

static void every_source_says_the_same(void **state) {
    (void)state;
    for (int s = 0; s < 3; s++) {
        struct picture_source *source = sources_open(all_sources[s], DATA_TRAIN);
        struct picture_bytes bytes = {0};
        assert_int_equal(picture_source_count(source), SET_PICTURES);
        assert_int_equal(picture_source_classes(source), SET_CLASSES);
        for (int n = 0; n < 2 * SET_PICTURES; n++) {
            int i = n * 7 % SET_PICTURES; /* in any order, each twice */
            uint64_t size;
            assert_int_equal(picture_source_label(source, i), set_labels[i]);
            assert_int_equal(picture_source_read(source, i, &bytes), STATUS_OK);
            assert_int_equal(sources_number(&bytes), i);
            assert_int_equal(picture_source_size(source, i, &size), STATUS_OK);
            assert_int_equal(size, bytes.size);
        }
        picture_bytes_release(&bytes);
        picture_source_close(source);
    }
}

/* Where data.classes says nothing. */
static const char *shown_name(const struct picture_source *source, int label,
                              char text[MAX_CLASS_NAME]) {
    const struct data_config config = {0};
    const struct class_names names = {&config, picture_source_class_list(source)};
    return class_name(&names, label, text);
}

static void classes_and_pictures_have_names(void **state) {
    (void)state;
    static const char *const names[] = {"train/ant/A00.PNG", "train-0.tar: ./p0000.png",
                                        "train/ant/A00.PNG"};
    for (int s = 0; s < 3; s++) {
        struct picture_source *source = sources_open(all_sources[s], DATA_TRAIN);
        char name[PICTURE_NAME], class[MAX_CLASS_NAME];
        assert_string_equal(picture_source_name(source, 0, name), names[s]);
        assert_string_equal(shown_name(source, 2, class), s == 1 ? "2" : "wild cat");
        assert_int_equal(picture_source_class_list(source) == NULL, s == 1);
        picture_source_close(source);
    }
    struct picture_source *source = sources_open("folder", DATA_TRAIN);
    char name[PICTURE_NAME];
    assert_string_equal(picture_source_name(source, 9, name), "train/ant/deep/x09.png");
    assert_string_equal(picture_source_name(source, 25, name), "train/wild cat/b25.png");
    picture_source_close(source);
}

/* A pack of shards holds what a pack of the folder holds; a pack of a pack is the same pack. */
static void packs_can_be_made_of_anything(void **state) {
    (void)state;
    char *first, *second;
    size_t first_size, second_size;
    struct picture_bytes bytes = {0};
    sources_run("mkdir again");
    sources_pack("pack", DATA_TRAIN, sources_path("again/train.pack"));
    assert_int_equal(file_read(sources_path("packs/train.pack"), 1 << 20, &first, &first_size),
                     STATUS_OK);
    assert_int_equal(file_read(sources_path("again/train.pack"), 1 << 20, &second, &second_size),
                     STATUS_OK);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    free(first);
    free(second);
    sources_run("rm again/train.pack");
    sources_pack("shards", DATA_TRAIN, sources_path("again/train.pack"));
    struct data_config config = sources_config("pack");
    struct picture_source *source;
    snprintf(config.folder, sizeof config.folder, "%s", sources_path("again"));
    assert_int_equal(picture_source_open(&source, &config, DATA_TRAIN, NULL), STATUS_OK);
    for (int i = 0; i < SET_PICTURES; i++) {
        assert_int_equal(picture_source_label(source, i), set_labels[i]);
        assert_int_equal(picture_source_read(source, i, &bytes), STATUS_OK);
        assert_int_equal(sources_number(&bytes), i);
    }
    picture_bytes_release(&bytes);
    picture_source_close(source);
}

/* The test part has no "bee": its labels are those of the training part all the same. */
static void the_test_part_has_the_training_labels(void **state) {
    (void)state;
    for (int s = 0; s < 3; s++) {
        struct picture_source *source = sources_open(all_sources[s], DATA_TEST);
        assert_int_equal(picture_source_count(source), SET_TEST_PICTURES);
        assert_int_equal(picture_source_classes(source), SET_CLASSES);
        for (int i = 0; i < SET_TEST_PICTURES; i++)
            assert_int_equal(picture_source_label(source, i), i < 2 ? 0 : 2);
        picture_source_close(source);
    }
    sources_run("mv folder/val folder/test");
    picture_source_close(sources_open("folder", DATA_TEST));
    sources_run("mv folder/test folder/holiday");
    struct data_config config = sources_config("folder");
    struct picture_source *source;
    strcpy(config.test, "holiday/");
    assert_int_equal(picture_source_open(&source, &config, DATA_TEST, NULL), STATUS_OK);
    picture_source_close(source);
}

static void assert_refused(const struct data_config *config, enum data_part part,
                           const char *words) {
    struct picture_source *source = (struct picture_source *)&source;
    assert_int_not_equal(picture_source_open(&source, config, part, NULL), STATUS_OK);
    assert_null(source);
    assert_sentence(words);
}

static void a_class_list_gives_order_and_choice(void **state) {
    (void)state;
    struct data_config config = sources_config("folder");
    struct picture_source *source;
    char name[MAX_CLASS_NAME];
    const char list[] = "wild cat\tFelis silvestris\r\n\nant\n";
    sources_write("list.txt", list, strlen(list));
    snprintf(config.class_list, sizeof config.class_list, "%s", sources_path("list.txt"));
    for (int part = DATA_TRAIN; part <= DATA_TEST; part++) {
        assert_int_equal(picture_source_open(&source, &config, (enum data_part)part, NULL),
                         STATUS_OK);
        assert_int_equal(picture_source_classes(source), 2);
        assert_int_equal(picture_source_count(source), part == DATA_TRAIN ? 18 : 4);
        for (int i = 0; i < picture_source_count(source); i++)
            assert_int_equal(picture_source_label(source, i), i >= (part == DATA_TRAIN ? 8 : 2));
        assert_string_equal(shown_name(source, 0, name), "Felis silvestris");
        assert_string_equal(shown_name(source, 1, name), "ant");
        picture_source_close(source);
    }
    static const struct {
        const char *text, *words;
    } bad[] = {{"ant\nbird\n", "has no folder 'bird'"},
               {"ant\nbee\nant\n", "has the class 'ant' twice"},
               {"\n\n", "names no class"},
               {"ant\n\tx\n", "list.txt:2: a tab stands"},
               {"../val/ant\n", "no name of a class's folder"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sources_write("list.txt", bad[i].text, strlen(bad[i].text));
        assert_refused(&config, DATA_TRAIN, bad[i].words);
    }
    sources_write("list.txt", "ant\0bee", 7);
    assert_refused(&config, DATA_TRAIN, "a byte of it is 0");
    unlink(sources_path("list.txt"));
    assert_refused(&config, DATA_TRAIN, "cannot open");
}

static void numbers_of_classes_must_agree(void **state) {
    (void)state;
    struct data_config config = sources_config("folder");
    config.classes = 4;
    assert_refused(&config, DATA_TRAIN, "has 3 classes, but data.classes is 4");
    config = sources_config("shards");
    config.classes = 2;
    assert_refused(&config, DATA_TRAIN, "p0018.png has label 2, but there are 2 classes");
    config = sources_config("magic");
    assert_refused(&config, DATA_TRAIN, "data.source \"magic\" holds no picture files");
}

static void links_are_followed_but_not_in_a_circle(void **state) {
    (void)state;
    sources_run(
        "ln -s ../../bee folder/train/ant/deep/bees && ln -s .. folder/train/ant/deep/up && "
        "ln -s ../ant/A00.PNG folder/train/bee/z.png && ln -s bee folder/train/wasp");
    struct data_config config = sources_config("folder");
    struct picture_source *source;
    struct picture_bytes bytes = {0};
    char name[PICTURE_NAME];
    assert_int_equal(picture_source_open(&source, &config, DATA_TRAIN, NULL), STATUS_OK);
    assert_int_equal(picture_source_classes(source), 4);
    assert_int_equal(picture_source_count(source), 10 + 9 + 9 + 9 + 8); /* ant twice: its bees */
    assert_int_equal(picture_source_notes(source)->count, 1);
    assert_non_null(strstr(sentences_next(picture_source_notes(source), NULL),
                           "train/ant/deep/up leads back to a folder that it is in"));
    for (int i = 0; i < picture_source_count(source); i++)
        if (strcmp(picture_source_name(source, i, name), "train/wasp/z.png") == 0) {
            assert_int_equal(picture_source_read(source, i, &bytes), STATUS_OK);
            assert_int_equal(sources_number(&bytes), 0);
        }
    picture_bytes_release(&bytes);
    picture_source_close(source);
}

static void folders_that_are_wrong_have_a_sentence(void **state) {
    (void)state;
    static const struct {
        const char *command;
        enum data_part part;
        const char *words;
    } cases[] = {
        {"mkdir folder/train/empty", DATA_TRAIN, "folder/train/empty has no picture"},
        {"rmdir folder/train/empty; mkdir folder/val/dog", DATA_TEST, "folder/val/dog is no class"},
        {"rmdir folder/val/dog; mkdir 'folder/train/a\tb'", DATA_TRAIN, "line break or a tab"},
        {"mv folder/train folder/other; mkdir folder/train", DATA_TRAIN, "has no folder, one for"},
        {"rmdir folder/train", DATA_TRAIN, "cannot open folder"},
        {"true", DATA_TEST, "folder/train does not exist"},
        {"touch folder/train", DATA_TRAIN, "cannot open folder"},
        {"rm folder/train; ln -s train folder/train", DATA_TRAIN, "cannot open folder"},
    };
    struct data_config config = sources_config("folder");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sources_run(cases[i].command);
        assert_refused(&config, cases[i].part, cases[i].words);
    }
    sources_run("rm folder/train; mkdir -p folder/train/a; cd folder/train/a; "
                "for i in $(seq 40); do mkdir d; cd d; done; touch x.png");
    assert_refused(&config, DATA_TRAIN, "folders are deeper than 32");
    if (getuid() == 0)
        return; /* may read everything */
    sources_run("rm -r folder/train/a; mkdir folder/train/a; chmod 0 folder/train/a");
    assert_refused(&config, DATA_TRAIN, "cannot read folder");
}

static void bad_pictures_have_a_sentence(void **state) {
    (void)state;
    sources_run("cd folder/train/ant && ln -s nowhere A00a.png && mkfifo c.png");
    struct picture_source *source = sources_open("folder", DATA_TRAIN);
    struct picture_bytes bytes = {0};
    sources_run("cd folder/train/ant && rm A01.PNG && : >A02.PNG && rm A03.PNG && mkdir A03.PNG && "
                "rm b04.png && mkfifo b04.png");
    static const char *const words[] = {
        [1] = "train/ant/A00a.png: cannot be opened", [2] = "train/ant/A01.PNG: cannot be opened",
        [3] = "train/ant/A02.PNG: is empty",          [4] = "train/ant/A03.PNG: is no file",
        [5] = "train/ant/b04.png: is no file",
    };
    assert_int_equal(picture_source_count(source), SET_PICTURES + 1); /* the pipe is left out */
    for (int i = 0; i < 7; i++) {
        enum status status = picture_source_read(source, i, &bytes);
        assert_int_equal(status, i == 0 || i == 6 ? STATUS_OK : STATUS_USAGE);
        if (status != STATUS_OK)
            assert_sentence(words[i]);
    }
    picture_bytes_release(&bytes);
    picture_source_close(source);
}

static void too_many_bad_pictures_are_a_stop(void **state) {
    (void)state;
    struct bad_pictures *bad;
    struct sentences faults = {0};
    assert_int_equal(bad_pictures_create(&bad, 2), STATUS_OK);
    for (int i = 0; i < 2; i++) {
        (fail)(STATUS_USAGE, "picture %d\nis bad", i);
        assert_int_equal(bad_pictures_add(bad), STATUS_OK);
        assert_string_equal(failure(), "");
    }
    assert_int_equal(bad_pictures_count(bad), 2);
    sentences_add(&faults, "a shard is cut off");
    assert_int_equal(bad_pictures_join(bad, &faults), STATUS_USAGE);
    assert_sentence("3 bad pictures are more than data.max_bad_images 2; the last: a shard is cut");
    const char *first = sentences_next(bad_pictures_list(bad), NULL);
    assert_string_equal(first, "picture 0 is bad");
    assert_string_equal(sentences_next(bad_pictures_list(bad), first), "picture 1 is bad");
    sentences_release(&faults);
    bad_pictures_release(bad);
    assert_int_equal(bad_pictures_create(&bad, 0), STATUS_OK);
    (fail)(STATUS_USAGE, "x.png: is empty");
    assert_int_equal(bad_pictures_add(bad), STATUS_USAGE);
    assert_sentence("x.png: is empty (`taper data verify` finds all such pictures");
    bad_pictures_release(bad);
}

/* Threads that read everything at once, each in its own order, and count what is bad. */
struct readers {
    const struct picture_source *source;
    struct bad_pictures *bad;
    struct picture_bytes bytes[4];
    atomic_int right;
};

static void read_one(void *context, int piece, int worker) {
    struct readers *readers = context;
    int i = piece * 17 % SET_PICTURES;
    if (picture_source_read(readers->source, i, &readers->bytes[worker]) != STATUS_OK)
        bad_pictures_add(readers->bad);
    else if (readers->bytes[worker].data[0] == 0x89)
        atomic_fetch_add(&readers->right, 1);
}

static void threads_read_at_the_same_time(void **state) {
    (void)state;
    enum { PIECES = 40 * SET_PICTURES };
    struct pool *pool;
    assert_int_equal(pool_create(&pool, 4), STATUS_OK);
    for (int s = 0; s < 3; s++) {
        struct data_config config = sources_config(all_sources[s]);
        struct picture_source *source;
        struct readers readers = {.right = 0};
        assert_int_equal(bad_pictures_create(&readers.bad, -1), STATUS_OK);
        assert_int_equal(picture_source_open(&source, &config, DATA_TRAIN, pool), STATUS_OK);
        for (int i = 0; i < SET_PICTURES; i++)
            assert_int_equal(picture_source_label(source, i), set_labels[i]);
        if (s == 0)
            unlink(sources_path("folder/train/bee/b15.png"));
        readers.source = source;
        pool_run(pool, PIECES, read_one, &readers);
        int expected = s == 0 ? PIECES - PIECES / SET_PICTURES : PIECES;
        assert_int_equal(readers.right, expected);
        assert_int_equal(bad_pictures_count(readers.bad), s == 0 ? 1 : 0); /* met 40 times */
        for (int i = 0; i < 4; i++)
            picture_bytes_release(&readers.bytes[i]);
        bad_pictures_release(readers.bad);
        picture_source_close(source);
    }
    pool_release(pool);
}

static void the_holdout_set_is_the_same_for_every_source(void **state) {
    (void)state;
    struct split splits[3];
    for (int s = 0; s < 3; s++) {
        struct data_config config = sources_config(all_sources[s]);
        struct picture_source *source = sources_open(all_sources[s], DATA_TRAIN);
        int counts[SET_CLASSES] = {0};
        char *text, expected[16 * PATH_MAX] = "", name[PICTURE_NAME];
        size_t size;
        config.holdout_images = 7;
        assert_int_equal(holdout_split(&splits[s], source, &config, 3), STATUS_OK);
        assert_int_equal(splits[s].holdout_count, 7);
        assert_int_equal(splits[s].train_count, SET_PICTURES - 7);
        assert_memory_equal(splits[s].holdout, splits[0].holdout, 7 * sizeof(int));
        for (int i = 0; i < 7; i++) {
            counts[picture_source_label(source, splits[s].holdout[i])]++;
            strcat(strcat(expected, picture_source_name(source, splits[s].holdout[i], name)), "\n");
        }
        assert_int_equal(counts[0], 3);
        assert_int_equal(counts[1], 2);
        assert_int_equal(counts[2], 2);
        assert_int_equal(holdout_write(sources_path("holdout.txt"), source, &splits[s]), STATUS_OK);
        assert_int_equal(file_read(sources_path("holdout.txt"), 1 << 20, &text, &size), STATUS_OK);
        assert_string_equal(text, expected);
        free(text);
        picture_source_close(source);
    }
    for (int s = 0; s < 3; s++)
        split_release(&splits[s]);
}

/* Each allocation in turn: a sentence, nothing lost (the address sanitizer would say so), and then
 * it works. Sentences of faults and notes are counted even when they cannot be kept. */
static void missing_memory_is_survived(void **state) {
    (void)state;
    for (int s = 0; s < 3; s++) {
        for (int part = DATA_TRAIN; part <= DATA_TEST; part++) {
            struct data_config config = sources_config(all_sources[s]);
            struct picture_source *source;
            struct picture_bytes bytes = {0};
            int n = 0;
            enum status status;
            do {
                allocate_fail_at(++n);
                status = picture_source_open(&source, &config, (enum data_part)part, NULL);
                if (status == STATUS_OK)
                    status = picture_source_read(source, 1, &bytes);
                allocate_fail_at(0);
                if (status != STATUS_OK)
                    assert_sentence("no memory");
                if (status == STATUS_OK)
                    assert_int_equal(sources_number(&bytes), 1);
                picture_bytes_release(&bytes);
                picture_source_close(source);
            } while (status != STATUS_OK);
            assert_in_range(n, 4, 100);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_source_says_the_same, make_set),
        cmocka_unit_test_setup(classes_and_pictures_have_names, make_set),
        cmocka_unit_test_setup(packs_can_be_made_of_anything, make_set),
        cmocka_unit_test_setup(the_test_part_has_the_training_labels, make_set),
        cmocka_unit_test_setup(a_class_list_gives_order_and_choice, make_set),
        cmocka_unit_test_setup(numbers_of_classes_must_agree, make_set),
        cmocka_unit_test_setup(links_are_followed_but_not_in_a_circle, make_set),
        cmocka_unit_test_setup(folders_that_are_wrong_have_a_sentence, make_set),
        cmocka_unit_test_setup(bad_pictures_have_a_sentence, make_set),
        cmocka_unit_test(too_many_bad_pictures_are_a_stop),
        cmocka_unit_test_setup(threads_read_at_the_same_time, make_set),
        cmocka_unit_test_setup(the_holdout_set_is_the_same_for_every_source, make_set),
        cmocka_unit_test_setup(missing_memory_is_survived, make_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
