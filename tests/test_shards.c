/* Tar shards: the formats of tar, names that mean files, and all that a shard can lie about. Tar
 * files are the system's, or built here byte by byte. */
#include "data/shard_names.h"
#include "data/tar.h"
#include "support/memory.h"
#include "support_sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct data_config config;

static int make_folder(void **state) {
    (void)state;
    allocate_fail_at(0);
    sources_folder("shards");
    config = (struct data_config){.source = "shards"};
    snprintf(config.folder, sizeof config.folder, "%s", sources_path("."));
    snprintf(config.train, sizeof config.train, "x.tar");
    return 0;
}

static struct picture_source *open_shards(void) {
    struct picture_source *source;
    if (picture_source_open(&source, &config, DATA_TRAIN, NULL) != STATUS_OK)
        fail_msg("%s", failure());
    return source;
}

static void assert_refused(const char *words) {
    struct picture_source *source;
    assert_int_not_equal(picture_source_open(&source, &config, DATA_TRAIN, NULL), STATUS_OK);
    assert_null(source);
    assert_sentence(words);
}

/* A tar file that grows here. */
static uint8_t file[1 << 17];
static size_t file_size;

static void checksum(uint8_t *block) {
    unsigned sum = 0;
    memset(block + 148, ' ', 8);
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += block[i];
    snprintf((char *)block + 148, 8, "%06o", sum);
}

/* Returns the header, whose checksum is to be made anew after a change. */
static uint8_t *put_member(const char *name, char type, const char *data) {
    uint8_t *block = file + file_size;
    size_t size = strlen(data);
    memset(block, 0, TAR_BLOCK);
    memcpy(block, name, strnlen(name, 100));
    snprintf((char *)block + 124, 12, "%011o", (unsigned)size);
    block[156] = (uint8_t)type;
    memcpy(block + 257,
           "ustar\0"
           "00",
           8);
    checksum(block);
    memset(block + TAR_BLOCK, 0, (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK);
    memcpy(block + TAR_BLOCK, data, size);
    file_size += TAR_BLOCK + (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    return block;
}

static void put_end(void) {
    memset(file + file_size, 0, 2 * TAR_BLOCK);
    file_size += 2 * TAR_BLOCK;
    sources_write("x.tar", file, file_size);
    file_size = 0;
}

static void put_good(const char *key) {
    char name[64];
    snprintf(name, sizeof name, "%s.jpg", key);
    put_member(name, '0', "a picture");
    snprintf(name, sizeof name, "%s.cls", key);
    put_member(name, '0', "1");
}

/* Every format of GNU tar, with names up to 200 bytes and a folder of folders. */
static void every_format_of_tar_is_read(void **state) {
    (void)state;
    static const char *const formats[] = {"ustar", "gnu", "oldgnu", "pax", "posix", "v7"};
    char folder[96] = "", command[256], expected[PICTURE_NAME], name[PICTURE_NAME];
    struct picture_bytes bytes = {0};
    memset(folder, 'f', 90);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        bool is_short = strcmp(formats[i], "v7") == 0;
        const char *in = is_short ? "f" : folder;
        char within[256];
        snprintf(within, sizeof within, "set/%s/%s/pic.jpg", in, in);
        sources_write(within, "the bytes", 9);
        snprintf(within, sizeof within, "set/%s/%s/pic.cls", in, in);
        sources_write(within, "70", 2);
        snprintf(command, sizeof command, "tar --format=%s -cf x.tar set && rm -r set", formats[i]);
        sources_run(command);
        struct picture_source *source = open_shards();
        assert_int_equal(picture_source_faults(source)->count, 0);
        assert_int_equal(picture_source_count(source), 1);
        assert_int_equal(picture_source_label(source, 0), 70);
        assert_int_equal(picture_source_classes(source), 71);
        snprintf(expected, sizeof expected, "x.tar: set/%s/%s/pic.jpg", in, in);
        assert_string_equal(picture_source_name(source, 0, name), expected);
        assert_int_equal(picture_source_read(source, 0, &bytes), STATUS_OK);
        assert_int_equal(bytes.size, 9);
        assert_memory_equal(bytes.data, "the bytes", 9);
        picture_source_close(source);
    }
    picture_bytes_release(&bytes);
}

/* The order of members does not matter for labels, and others are left alone. */
static void members_are_grouped_by_key(void **state) {
    (void)state;
    char name[PICTURE_NAME];
    put_member("a/1.cls", '0', "5\n");
    put_member("a/1.json", '0', "{}");
    put_member("a/12.jpeg", '0', "twelve");
    put_member("a/", '5', "");
    put_member("a/1.PNG", '\0', "one");
    put_member("b/1.jpg", '0', "other");
    put_member("b/1.cls", '0', " 7"); /* digits must come first */
    put_member("a/12.cls", '0', "6 ");
    put_member("b/1.seg.png", '0', "another member of key b/1");
    put_end();
    struct picture_source *source = open_shards();
    assert_int_equal(picture_source_count(source), 2);
    assert_int_equal(picture_source_label(source, 0), 6);
    assert_int_equal(picture_source_label(source, 1), 5);
    assert_string_equal(picture_source_name(source, 1, name), "x.tar: a/1.PNG");
    assert_int_equal(picture_source_faults(source)->count, 2);
    assert_int_equal(picture_source_notes(source)->count, 0);
    picture_source_close(source);
}

static bool has_sentence(const struct sentences *sentences, const char *words) {
    for (const char *at = NULL; (at = sentences_next(sentences, at)) != NULL;)
        if (strstr(at, words) != NULL)
            return true;
    return false;
}

static void put_twice(void) {
    put_good("k");
    put_good("k");
}
static void put_up(void) {
    put_member("a/../../x.jpg", '0', "x");
    put_member("..", '0', "not even a picture");
}
static void put_absolute(void) {
    put_member("/etc/x.jpg", '0', "x");
}
static void put_link(void) {
    memcpy(put_member("link.jpg", '2', "") + 157, "good.jpg", 8);
    checksum(file + file_size - TAR_BLOCK);
}
static void put_hard_link(void) {
    put_member("hard.jpg", '1', "");
}
static void put_without_label(void) {
    put_member("alone.jpg", '0', "x");
}
static void put_without_picture(void) {
    put_member("alone.cls", '0', "1");
}
static void put_word(void) {
    put_member("w.cls", '0', "one");
}
static void put_large_label(void) {
    put_member("w.cls", '0', "65536");
}
static void put_long_label(void) {
    put_member("w.cls", '0', "00000000000000001");
}
static void put_sparse(void) {
    put_member("pax", 'x', "22 GNU.sparse.major=1\n");
    put_member("sparse.jpg", '0', "x");
}
static void put_gnu_sparse(void) {
    put_member("sparse.jpg", 'S', "x");
}
static void put_two_line_name(void) {
    put_member("two\nlines.jpg", '0', "x");
}

/* A good picture comes before and after; nothing else is taken, and this is said. */
static void oddities_are_named_and_left_out(void **state) {
    (void)state;
    static const struct {
        void (*put)(void);
        int faults;
        const char *words;
    } cases[] = {
        {put_twice, 2, "x.tar: k.jpg: a picture before it has the same key"},
        {put_twice, 2, "x.tar: k.cls is there more than once"},
        {put_up, 1, "x.tar: a/../../x.jpg: its name leads out of the folder"},
        {put_absolute, 1, "x.tar: /etc/x.jpg: its name leads out of the folder"},
        {put_link, 1, "x.tar: link.jpg: it is a link"},
        {put_hard_link, 1, "x.tar: hard.jpg: it is a link"},
        {put_without_label, 1, "x.tar: alone.jpg has no label: alone.cls is missing"},
        {put_without_picture, 1, "x.tar: alone.cls has no picture"},
        {put_word, 1, "x.tar: w.cls: 'one' is no label from 0 to 65535"},
        {put_large_label, 1, "x.tar: w.cls: '65536' is no label"},
        {put_long_label, 1, "x.tar: w.cls: '' is no label"},
        {put_sparse, 1, "x.tar: sparse.jpg: it is a link, or no plain file"},
        {put_gnu_sparse, 1, "x.tar: sparse.jpg: it is a link, or no plain file"},
        {put_two_line_name, 1, "x.tar: two lines.jpg has no label"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_good("first");
        cases[i].put();
        put_good("last");
        put_end();
        struct picture_source *source = open_shards();
        assert_int_equal(picture_source_count(source), cases[i].put == put_twice ? 3 : 2);
        assert_int_equal(picture_source_faults(source)->count, cases[i].faults);
        if (!has_sentence(picture_source_faults(source), cases[i].words))
            fail_msg("nobody says \"%s\"", cases[i].words);
        picture_source_close(source);
    }
}

/* Numbers in octal, or binary behind a first bit. */
static void set_size(uint8_t *block, const char *octal, uint64_t binary) {
    memset(block + 124, 0, 12);
    if (octal != NULL)
        memcpy(block + 124, octal, strnlen(octal, 12));
    for (int i = 0; octal == NULL && i < 8; i++)
        block[135 - i] = (uint8_t)(binary >> 8 * i);
    if (octal == NULL)
        block[124] = 0x80;
    checksum(block);
}

static void sizes_that_lie_end_the_shard(void **state) {
    (void)state;
    static const struct {
        const char *octal;
        uint64_t binary;
        const char *words;
    } cases[] = {{"00000002001", 0, "states 1025 bytes, more than there are"},
                 {"77777777777", 0, "states 8589934591 bytes"},
                 {"777777777777", 0, "more than there are"},
                 {"0000000x", 0, "a size is no number"},
                 {NULL, UINT64_MAX, "a size is no number"},
                 {NULL, UINT64_MAX / 2, "more than there are"},
                 {NULL, UINT64_MAX - 1023, "a size is no number"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_good("first");
        set_size(put_member("liar.jpg", '0', ""), cases[i].octal, cases[i].binary);
        put_end();
        struct picture_source *source = open_shards();
        assert_int_equal(picture_source_count(source), 1);
        assert_int_equal(picture_source_faults(source)->count, 1);
        assert_non_null(
            strstr(sentences_next(picture_source_faults(source), NULL), cases[i].words));
        picture_source_close(source);
    }
    put_good("first");
    set_size(put_member("right.jpg", '0', "nine byte"), NULL, 9);
    put_member("right.cls", '0', "2");
    put_end();
    struct picture_source *source = open_shards();
    assert_int_equal(picture_source_count(source), 2);
    picture_source_close(source);
}

/* Records of pax that are wrong, and one that is right. */
static void extended_headers_are_checked(void **state) {
    (void)state;
    static const char *const wrong[] = {"4 a=\n",         "99 path=x\n",
                                        "path=x\n",       "9 path=x",
                                        "0 a=b\n",        "8 size=\n",
                                        "13 size=1e99\n", "11 size=-1\n",
                                        "6 abc\n",        "29 size=99999999999999999999\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        put_good("first");
        put_member("pax", 'x', wrong[i]);
        put_good("last");
        put_end();
        struct picture_source *source = open_shards();
        assert_int_equal(picture_source_count(source), 1);
        assert_true(has_sentence(picture_source_faults(source), "an extended header is wrong"));
        picture_source_close(source);
    }
    put_member("pax", 'x', "16 path=b/c.jpg\n9 size=3\n13 atime=1.5\n");
    set_size(put_member("not this.jpg", '0', "abc"), "0", 0);
    put_member("pax", 'x', "16 path=b/c.cls\n");
    put_member("nor this", '0', "9");
    put_end();
    struct picture_source *source = open_shards();
    struct picture_bytes bytes = {0};
    assert_int_equal(picture_source_label(source, 0), 9);
    assert_int_equal(picture_source_read(source, 0, &bytes), STATUS_OK);
    assert_int_equal(bytes.size, 3);
    assert_memory_equal(bytes.data, "abc", 3);
    picture_bytes_release(&bytes);
    picture_source_close(source);
}

/* Cut anywhere: what is whole stays, what is not is said; never more than there was. Between two
 * members that the end is missing is all there is to say. */
static void every_cut_is_survived(void **state) {
    (void)state;
    put_good("first");
    put_member("pax", 'x', "16 path=b/c.jpg\n");
    put_member("x", '0', "abc");
    put_member("b/c.cls", '0', "9");
    size_t size = file_size;
    put_end();
    for (size_t cut = 0; cut < size; cut++) {
        struct picture_source *source;
        assert_int_equal(truncate(sources_path("x.tar"), (off_t)(size - cut)), 0);
        if (picture_source_open(&source, &config, DATA_TRAIN, NULL) != STATUS_OK) {
            assert_true(size - cut <= 4 * TAR_BLOCK);
            assert_sentence("x.tar");
            continue;
        }
        assert_in_range(picture_source_count(source), 1, 2);
        assert_int_equal(picture_source_count(source) == 1, size - cut < size - TAR_BLOCK + 1);
        assert_int_equal(picture_source_faults(source)->count > 0,
                         size - cut > 4 * TAR_BLOCK && cut >= TAR_BLOCK);
        if (picture_source_faults(source)->count == 0)
            assert_true(has_sentence(picture_source_notes(source), "x.tar has no end"));
        picture_source_close(source);
    }
}

static void files_that_are_no_shards_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *command, *words;
    } cases[] = {
        {"seq 1000 >x.tar", "x.tar is damaged: there is no header at byte 0"},
        {": >x.tar", "x.tar is cut off: it ends at byte 0"},
        {"rm x.tar", "cannot open"},
        {"mkdir x.tar", "it is not a file"},
        {"rmdir x.tar; mkfifo x.tar", "it is not a file"},
        {"rm x.tar; tar -cf x.tar -T /dev/null", "x.tar has no picture"},
        {"seq 999 | gzip >x.tar",
         "x.tar is compressed by gzip, but pictures are read in any order"},
        {"printf '\\3757zXZ%0999d' 0 >x.tar", "unpack it once: xz -d"},
        {"printf '\\050\\265\\057\\375%0999d' 0 >x.tar", "zstd"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sources_run(cases[i].command);
        assert_refused(cases[i].words);
    }
    put_member("a.jpg", '0', "alone");
    put_end();
    assert_refused("has no picture; the first of 1 that cannot be read: x.tar: a.jpg has no label");
}

static void assert_names(const char *pattern, const char *expected) {
    struct shard_names names;
    char found[1024] = "";
    if (shard_names_find(&names, sources_path(pattern)) != STATUS_OK)
        fail_msg("%s", failure());
    for (int i = 0; i < names.count; i++)
        strcat(strcat(found, i > 0 ? " " : ""), strrchr(names.paths[i], '/') + 1);
    assert_string_equal(found, expected);
    shard_names_release(&names);
}

static void patterns_mean_files(void **state) {
    (void)state;
    struct shard_names names;
    sources_run("touch t-10.tar t-2.tar t-1.tar u-1.tar 'v{1}.tar'");
    assert_names("t-*.tar", "t-1.tar t-10.tar t-2.tar");
    assert_names("t-[12].tar", "t-1.tar t-2.tar");
    assert_names("t-{1..3}.tar", "t-1.tar t-2.tar t-3.tar");
    assert_names("t-{08..10}.tar", "t-08.tar t-09.tar t-10.tar");
    assert_names("t{0..1}-{000..001}", "t0-000 t0-001 t1-000 t1-001");
    assert_names("?-{1..1}.tar", "t-1.tar u-1.tar");
    assert_names("v{1}.tar", "v{1}.tar");
    assert_names("{a..b}{..3}{1..2", "{a..b}{..3}{1..2");
    static const struct {
        const char *pattern, *words;
    } bad[] = {{"w-*.tar", "w-*.tar matches no file"},
               {"{2..1}", "is no range of 1 to 100000 shards"},
               {"{0..100000}", "is no range of 1 to 100000 shards"},
               {"{0..9999}{0..9999}", "more than 100000 shards"},
               {"{0..99999999999999999999999}", "is no range"},
               {"t-{1..1}.ta{0..1}/../t-1.tar*", "matches no file"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_not_equal(shard_names_find(&names, sources_path(bad[i].pattern)), STATUS_OK);
        assert_null(names.paths);
        assert_sentence(bad[i].words);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_format_of_tar_is_read, make_folder),
        cmocka_unit_test_setup(members_are_grouped_by_key, make_folder),
        cmocka_unit_test_setup(oddities_are_named_and_left_out, make_folder),
        cmocka_unit_test_setup(sizes_that_lie_end_the_shard, make_folder),
        cmocka_unit_test_setup(extended_headers_are_checked, make_folder),
        cmocka_unit_test_setup(every_cut_is_survived, make_folder),
        cmocka_unit_test_setup(files_that_are_no_shards_are_refused, make_folder),
        cmocka_unit_test_setup(patterns_mean_files, make_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
