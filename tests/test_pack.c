/* Packs: every damage is noticed, a cut at any moment of packing ends in the same bits, and what
 * cannot be packed is said. */
#include "data/pack_format.h"
#include "data/pack_write.h"
#include "support/file.h"
#include "support/interrupt.h"
#include "support/memory.h"
#include "support_sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *whole; /* packs/train.pack as it must be */
static size_t whole_size;

static int make_set(void **state) {
    (void)state;
    allocate_fail_at(0);
    interrupt_request(false);
    sources_folder("pack");
    sources_make_set();
    sources_pack("folder", DATA_TRAIN, sources_path("packs/train.pack"));
    free(whole);
    assert_int_equal(file_read(sources_path("packs/train.pack"), 1 << 20, &whole, &whole_size),
                     STATUS_OK);
    return 0;
}

static int free_whole(void **state) {
    (void)state;
    free(whole);
    whole = NULL;
    return 0;
}

static enum status try_open(struct picture_source **source) {
    struct data_config config = sources_config("pack");
    return picture_source_open(source, &config, DATA_TRAIN, NULL);
}

/* Whatever bit is hit: it does not open, or a picture says so, or it was a name (which is no
 * label's and no byte's business). */
static void no_changed_bit_passes_unnoticed(void **state) {
    (void)state;
    struct pack_header header;
    memcpy(&header, whole, sizeof header);
    struct picture_bytes bytes = {0};
    for (size_t at = 0; at < whole_size; at++) {
        struct picture_source *source;
        int noticed = 0;
        whole[at] = (char)(whole[at] ^ 1 << at % 8);
        sources_write("packs/train.pack", whole, whole_size);
        whole[at] = (char)(whole[at] ^ 1 << at % 8);
        if (try_open(&source) != STATUS_OK) {
            assert_sentence("packs/train.pack");
            noticed++;
        } else {
            char name[PICTURE_NAME];
            for (int i = 0; i < SET_PICTURES; i++) {
                picture_source_name(source, i, name);
                assert_int_equal(picture_source_label(source, i), set_labels[i]);
                if (picture_source_read(source, i, &bytes) == STATUS_OK) {
                    assert_int_equal(sources_number(&bytes), i);
                    continue;
                }
                assert_sentence("have another checksum than when they were packed");
                noticed++;
            }
        }
        assert_int_equal(noticed, at < header.names_offset ? 1 : 0);
        picture_source_close(source);
    }
    picture_bytes_release(&bytes);
}

static void no_cut_passes_unnoticed(void **state) {
    (void)state;
    for (size_t size = 0; size < whole_size; size++) {
        struct picture_source *source;
        sources_write("packs/train.pack", whole, size);
        assert_int_equal(try_open(&source), STATUS_USAGE);
        assert_sentence("is damaged or cut off");
    }
    whole[whole_size] = 0; /* file_read() has put it there */
    struct picture_source *source;
    sources_write("packs/train.pack", whole, whole_size + 1);
    assert_int_equal(try_open(&source), STATUS_USAGE);
    assert_sentence("it has not the size that its header states");
}

/* The pack with this header, and with right checksums as far as there is something to sum. */
static void put_header(struct pack_header *header) {
    uint64_t index = header->count * sizeof(struct picture_entry);
    if (header->count <= SET_PICTURES && header->index_offset <= whole_size - index)
        header->index_checksum = pack_hash(whole + header->index_offset, index);
    header->checksum = pack_header_checksum(header);
    char *file = malloc(whole_size);
    memcpy(file, whole, whole_size);
    memcpy(file, header, sizeof *header);
    sources_write("packs/train.pack", file, whole_size);
    free(file);
}

static void headers_that_lie_are_refused(void **state) {
    (void)state;
    struct pack_header good, header;
    struct picture_source *source;
    memcpy(&good, whole, sizeof good);
    const struct {
        size_t offset;
        uint64_t value;
        const char *words;
    } cases[] = {
        {offsetof(struct pack_header, count), UINT64_MAX, "too many pictures"},
        {offsetof(struct pack_header, count), INT32_MAX, "its index is not within the file"},
        {offsetof(struct pack_header, index_offset), UINT64_MAX, "its index is not within"},
        {offsetof(struct pack_header, index_offset), 16, "its index is not within"},
        {offsetof(struct pack_header, classes_offset), UINT64_MAX - 8,
         "its classes are not within"},
        {offsetof(struct pack_header, classes_size), UINT64_MAX, "its classes are not within"},
        {offsetof(struct pack_header, classes_size), 4, "its classes have another checksum"},
        {offsetof(struct pack_header, classes_size), 0, ""}, /* numbers only */
        {offsetof(struct pack_header, names_offset), UINT64_MAX - 7, "its names are not within"},
        {offsetof(struct pack_header, names_offset), 200, ""}, /* names of rubbish hurt nobody */
        {offsetof(struct pack_header, names_offset), 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        header = good;
        memcpy((char *)&header + cases[i].offset, &cases[i].value, sizeof cases[i].value);
        put_header(&header);
        enum status status = try_open(&source);
        assert_int_equal(status, cases[i].words[0] == '\0' ? STATUS_OK : STATUS_USAGE);
        if (status != STATUS_OK)
            assert_sentence(cases[i].words);
        char name[PICTURE_NAME];
        for (int n = 0; status == STATUS_OK && n < SET_PICTURES; n++)
            picture_source_name(source, n, name);
        picture_source_close(source);
    }
    header = good;
    header.version = 2;
    put_header(&header);
    assert_int_equal(try_open(&source), STATUS_USAGE);
    assert_sentence("is a pack of version 2; this program reads version 1");
    header = good;
    header.classes = 4;
    put_header(&header);
    assert_int_equal(try_open(&source), STATUS_USAGE);
    assert_sentence("another number of classes than it names");
}

static void indices_that_lie_are_refused(void **state) {
    (void)state;
    struct pack_header header;
    memcpy(&header, whole, sizeof header);
    struct picture_entry *entry = (struct picture_entry *)(whole + header.index_offset) + 3;
    struct picture_entry good;
    memcpy(&good, entry, sizeof good);
    const struct picture_entry bad[] = {
        {entry_at(entry_place(&good), 3), good.size, good.detail},
        {entry_at(0, 0), good.size, good.detail},
        {entry_at(header.index_offset, 0), 1, good.detail},
        {entry_at(header.index_offset - 1, 0), 2, good.detail},
        {entry_at(MOST_PLACE, 0), good.size, good.detail},
        {good.place_and_label, 0, good.detail},
        {good.place_and_label, UINT32_MAX, good.detail},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct picture_source *source;
        memcpy(entry, &bad[i], sizeof *entry);
        put_header(&header);
        assert_int_equal(try_open(&source), STATUS_USAGE);
        assert_sentence("its index is wrong");
    }
    memcpy(entry, &good, sizeof good);
}

static void packs_of_other_classes_do_not_go_together(void **state) {
    (void)state;
    struct data_config config = sources_config("pack");
    struct picture_source *source;
    sources_pack("shards", DATA_TEST, sources_path("packs/val.pack")); /* without names */
    assert_int_equal(picture_source_open(&source, &config, DATA_TEST, NULL), STATUS_USAGE);
    assert_sentence("packed anew, with the same classes: class 0, 'ant' in ");
    unlink(sources_path("packs/val.pack"));
    sources_run("mv folder/train/bee folder/train/cow");
    sources_pack("folder", DATA_TEST, sources_path("packs/val.pack"));
    assert_int_equal(picture_source_open(&source, &config, DATA_TEST, NULL), STATUS_USAGE);
    assert_sentence("packed anew, with the same classes: class 1 is 'cow' in ");
    unlink(sources_path("packs/train.pack")); /* nobody knows better */
    assert_int_equal(picture_source_open(&source, &config, DATA_TEST, NULL), STATUS_OK);
    picture_source_close(source);
    strcpy(config.class_list, "x");
    assert_int_equal(picture_source_open(&source, &config, DATA_TEST, NULL), STATUS_USAGE);
    assert_sentence("has classes of its own");
}

/* Packs the folder's train into again.pack; *result and *bad may be NULL. */
static enum status pack_again(int most_bad, struct pack_result *result, int *bad_count) {
    struct picture_source *source = sources_open("folder", DATA_TRAIN);
    struct bad_pictures *bad;
    struct pack_result unused;
    assert_int_equal(bad_pictures_create(&bad, most_bad), STATUS_OK);
    const struct pack_options options = {.path = sources_path("packs/again.pack"), .bad = bad};
    enum status status = pack_write(source, &options, result != NULL ? result : &unused);
    if (bad_count != NULL)
        *bad_count = bad_pictures_count(bad);
    bad_pictures_release(bad);
    picture_source_close(source);
    return status;
}

static void assert_whole(void) {
    char *file;
    size_t size;
    assert_int_equal(file_read(sources_path("packs/again.pack"), 1 << 20, &file, &size), STATUS_OK);
    assert_int_equal(size, whole_size);
    assert_memory_equal(file, whole, size);
    free(file);
    assert_false(file_exists(sources_path("packs/again.pack.partial")));
    assert_false(file_exists(sources_path("packs/again.pack.partial.index")));
    assert_int_equal(unlink(sources_path("packs/again.pack")), 0);
}

/* What a kill can leave: the pictures of the journal are in the file, with more or less behind. */
static void leave(const char *journal, size_t journal_size, size_t pack_size) {
    char *rubbish = malloc(pack_size + 1);
    memcpy(rubbish, whole, pack_size);
    memset(rubbish, 'x',
           pack_size < sizeof(struct pack_header) ? pack_size : sizeof(struct pack_header));
    sources_write("packs/again.pack.partial", rubbish, pack_size);
    sources_write("packs/again.pack.partial.index", journal, journal_size);
    free(rubbish);
}

static void a_cut_at_any_place_ends_in_the_same_bits(void **state) {
    (void)state;
    char *journal;
    size_t size;
    struct pack_header header;
    memcpy(&header, whole, sizeof header);
    sources_run("cd 'folder/train/wild cat' && rm b25.png && ln -s nowhere b25.png");
    assert_int_equal(pack_again(0, NULL, NULL), STATUS_USAGE);
    assert_sentence("b25.png: cannot be opened");
    assert_int_equal(
        file_read(sources_path("packs/again.pack.partial.index"), 1 << 20, &journal, &size),
        STATUS_OK);
    assert_int_equal(size, 16 + 16 * (SET_PICTURES - 1));
    sources_run("rm 'folder/train/wild cat/b25.png'");
    sources_make_set();
    for (size_t cut = 0; cut <= size; cut += cut % 5 == 4 ? 7 : 1) {
        struct pack_result result;
        leave(journal, cut, whole_size - cut);
        assert_int_equal(pack_again(0, &result, NULL), STATUS_OK);
        assert_int_equal(result.found_done, cut < 16 ? 0 : (cut - 16) / 16);
        assert_int_equal(result.pictures, SET_PICTURES);
        assert_whole();
    }
    for (size_t pack = 0; pack < header.index_offset; pack += 11) { /* less than the list says */
        struct pack_result result;
        leave(journal, size, pack);
        assert_int_equal(pack_again(0, &result, NULL), STATUS_OK);
        assert_in_range(result.found_done, 0, SET_PICTURES - 1);
        assert_whole();
    }
    struct pack_result result;
    journal[16 + 4 * 16] ^= 1; /* the fifth entry does not follow from the fourth */
    leave(journal, size, whole_size);
    assert_int_equal(pack_again(0, &result, NULL), STATUS_OK);
    assert_int_equal(result.found_done, 4);
    assert_whole();
    journal[9] ^= 1; /* of another origin */
    leave(journal, size, whole_size);
    assert_int_equal(pack_again(0, &result, NULL), STATUS_OK);
    assert_int_equal(result.found_done, 0);
    assert_whole();
    free(journal);
}

static void an_interrupt_saves_and_a_finished_pack_is_left_alone(void **state) {
    (void)state;
    struct pack_result result;
    interrupt_request(true);
    assert_int_equal(pack_again(0, NULL, NULL), STATUS_INTERRUPTED);
    assert_sentence("0 of 26 pictures are packed; the same command goes on");
    interrupt_request(false);
    assert_int_equal(pack_again(0, &result, NULL), STATUS_OK);
    assert_false(result.was_there);
    assert_int_equal(pack_again(0, &result, NULL), STATUS_OK);
    assert_true(result.was_there);
    assert_int_equal(result.pictures, SET_PICTURES);
    assert_whole();
    sources_write("packs/again.pack", "precious", 8);
    assert_int_equal(pack_again(0, &result, NULL), STATUS_USAGE);
    assert_sentence("is there and is no pack of these pictures");
    sources_run("test \"$(cat packs/again.pack)\" = precious && rm packs/again.pack");
    sources_pack("shards", DATA_TRAIN, sources_path("packs/again.pack"));
    assert_int_equal(pack_again(0, &result, NULL), STATUS_USAGE);
    assert_sentence("is there and is no pack of these pictures");
}

static void bad_pictures_are_left_out_within_the_limit(void **state) {
    (void)state;
    struct pack_result result;
    int bad;
    sources_run("cd folder/train && : >ant/A00.PNG && rm bee/b15.png && ln -s nowhere bee/b15.png");
    assert_int_equal(pack_again(1, &result, &bad), STATUS_USAGE);
    assert_sentence("2 bad pictures are more than data.max_bad_images 1");
    assert_int_equal(pack_again(2, &result, &bad), STATUS_OK); /* goes on, and counts the first */
    assert_int_equal(bad, 2);
    assert_int_equal(result.pictures, SET_PICTURES - 2);
    sources_run("mv packs/again.pack packs/train.pack");
    struct picture_source *source;
    struct picture_bytes bytes = {0};
    char name[PICTURE_NAME];
    assert_int_equal(try_open(&source), STATUS_OK);
    assert_int_equal(picture_source_count(source), SET_PICTURES - 2);
    for (int i = 0; i < SET_PICTURES - 2; i++) {
        assert_int_equal(picture_source_read(source, i, &bytes), STATUS_OK);
        int number = sources_number(&bytes);
        assert_int_equal(number, i + (i < 14 ? 1 : 2));
        assert_int_equal(picture_source_label(source, i), set_labels[number]);
    }
    assert_string_equal(picture_source_name(source, 13, name), "train/bee/b14.png");
    assert_string_equal(picture_source_name(source, 14, name), "train/bee/b16.png");
    picture_bytes_release(&bytes);
    picture_source_close(source);
    sources_run("cd folder/train && for f in */*.* ant/deep/*; do : >\"$f\"; done");
    assert_int_equal(pack_again(99, &result, &bad), STATUS_USAGE);
    assert_sentence("no picture could be read: there is nothing to pack");
}

static void pictures_are_shrunk(void **state) {
    (void)state;
    sources_run(
        "cd folder/train && { printf 'P5 40 30 255\\n'; head -c 1200 /dev/zero; } >ant/A00.pgm");
    struct picture_source *source = sources_open("folder", DATA_TRAIN), *packed;
    struct bad_pictures *bad;
    struct pack_result result;
    struct picture_bytes bytes = {0};
    assert_int_equal(bad_pictures_create(&bad, 0), STATUS_OK);
    const struct pack_options options = {
        .path = sources_path("packs/small.pack"), .short_side = 12, .bad = bad};
    assert_int_equal(pack_write(source, &options, &result), STATUS_OK);
    struct data_config config = sources_config("pack");
    strcpy(config.train, "small.pack");
    assert_int_equal(picture_source_open(&packed, &config, DATA_TRAIN, NULL), STATUS_OK);
    for (int i = 0; i < SET_PICTURES + 1; i++) {
        assert_int_equal(picture_source_read(packed, i, &bytes), STATUS_OK);
        if (i != 1)
            assert_int_equal(sources_number(&bytes), i - (i > 1)); /* one pixel high: as it was */
    }
    assert_int_equal(picture_source_read(packed, 1, &bytes), STATUS_OK);
    assert_memory_equal(bytes.data + 16, "\0\0\0\x10\0\0\0\x0c", 8); /* PNG, 16 wide, 12 high */
    picture_bytes_release(&bytes);
    bad_pictures_release(bad);
    picture_source_close(packed);
    picture_source_close(source);
}

static void missing_memory_ends_in_the_same_bits(void **state) {
    (void)state;
    struct picture_source *source = sources_open("folder", DATA_TRAIN);
    struct bad_pictures *bad;
    struct pack_result result;
    assert_int_equal(bad_pictures_create(&bad, 0), STATUS_OK);
    const struct pack_options options = {.path = sources_path("packs/again.pack"), .bad = bad};
    int n = 0;
    enum status status;
    do {
        allocate_fail_at(++n);
        status = pack_write(source, &options, &result);
        allocate_fail_at(0);
        if (status != STATUS_OK) {
            assert_int_equal(status, STATUS_FAILED);
            assert_sentence("no memory");
        }
    } while (status != STATUS_OK);
    assert_in_range(n, 5, 100);
    assert_whole();
    bad_pictures_release(bad);
    picture_source_close(source);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_changed_bit_passes_unnoticed, make_set),
        cmocka_unit_test_setup(no_cut_passes_unnoticed, make_set),
        cmocka_unit_test_setup(headers_that_lie_are_refused, make_set),
        cmocka_unit_test_setup(indices_that_lie_are_refused, make_set),
        cmocka_unit_test_setup(packs_of_other_classes_do_not_go_together, make_set),
        cmocka_unit_test_setup(a_cut_at_any_place_ends_in_the_same_bits, make_set),
        cmocka_unit_test_setup(an_interrupt_saves_and_a_finished_pack_is_left_alone, make_set),
        cmocka_unit_test_setup(bad_pictures_are_left_out_within_the_limit, make_set),
        cmocka_unit_test_setup(pictures_are_shrunk, make_set),
        cmocka_unit_test_setup(missing_memory_ends_in_the_same_bits, make_set),
    };
    return cmocka_run_group_tests(tests, NULL, free_whole);
}
