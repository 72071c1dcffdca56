/* safetensors: what is written is read again, a file laid out by hand is understood, and every
 * malformed file of a table is refused with its sentence. */
#include "support/memory.h"
#include "support/safetensors.h"
#include "support_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int fresh_folder(void **state) {
    (void)state;
    failure_clear();
    test_folder("test_safetensors");
    return 0;
}

static const float floats[6] = {1, -2.5f, 3e-38f, 4, 5, 6};
static const double doubles[2] = {1.0 / 3, -1e300};
static const int64_t integers[3] = {INT64_MIN, 0, INT64_MAX};
static const uint8_t bytes[5] = {0, 1, 127, 128, 255};

/* The odd number of bytes comes first: writing in this order would misalign the rest. */
static const struct named_tensor tensors[] = {
    {"bytes", TENSOR_U8, 1, {5}, bytes},
    {"blocks.0.conv_pw.weight", TENSOR_F32, 4, {3, 2, 1, 1}, floats},
    {"doubles", TENSOR_F64, 2, {1, 2}, doubles},
    {"step", TENSOR_I64, 0, {0}, &integers[2]},
    {"empty", TENSOR_F32, 2, {0, 7}, NULL},
    {"numbers \"\xc3\xa9\"", TENSOR_I64, 1, {3}, integers},
};
enum { TENSORS = sizeof tensors / sizeof *tensors };
static const size_t tensor_sizes[TENSORS] = {5, 24, 16, 8, 0, 24};

static const struct metadata notes[] = {{"hash", "0123"}, {"text", "two\nlines, \"quoted\""}};

static void written_files_are_read_again(void **state) {
    (void)state;
    const char *path = test_path("round.safetensors");
    struct safetensors file;
    assert_int_equal(safetensors_write(path, tensors, TENSORS, notes, 2), STATUS_OK);
    assert_int_equal(safetensors_read(&file, path), STATUS_OK);
    assert_int_equal(file.count, TENSORS);
    for (int i = 0; i < TENSORS; i++) {
        const struct named_tensor *got = safetensors_find(&file, tensors[i].name);
        assert_non_null(got);
        assert_int_equal(got->type, tensors[i].type);
        assert_int_equal(got->rank, tensors[i].rank);
        assert_memory_equal(got->shape, tensors[i].shape, (size_t)got->rank * sizeof *got->shape);
        if (tensor_sizes[i] > 0)
            assert_memory_equal(got->data, tensors[i].data, tensor_sizes[i]);
        assert_int_equal((uintptr_t)got->data % (got->type == TENSOR_F32  ? 4
                                                 : got->type == TENSOR_U8 ? 1
                                                                          : 8),
                         0);
    }
    assert_null(safetensors_find(&file, "other"));
    assert_string_equal(safetensors_metadata(&file, "hash"), notes[0].value);
    assert_string_equal(safetensors_metadata(&file, "text"), notes[1].value);
    assert_null(safetensors_metadata(&file, "other"));
    safetensors_release(&file);
    assert_int_equal(file.count, 0);

    assert_int_equal(safetensors_write(path, NULL, 0, NULL, 0), STATUS_OK);
    assert_int_equal(safetensors_read(&file, path), STATUS_OK);
    assert_int_equal(file.count, 0);
    safetensors_release(&file);
}

/* A file from its parts; `length` < 0: the header's own. */
static const char *write_file(const char *header, int64_t length, size_t data_size) {
    uint8_t file[2000];
    size_t used = strlen(header);
    uint64_t announced = length < 0 ? used : (uint64_t)length;
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)(announced >> (8 * i));
    memcpy(file + 8, header, used);
    for (size_t i = 0; i < data_size; i++)
        file[8 + used + i] = (uint8_t)(i + 1);
    return test_write("made.safetensors", file, 8 + used + data_size);
}

/* Headers of every length modulo 8, as other programs write them. */
static void files_laid_out_by_hand_are_understood(void **state) {
    (void)state;
    for (int spaces = 0; spaces < 8; spaces++) {
        char header[200];
        struct safetensors file;
        snprintf(header, sizeof header,
                 "{\"b\":{\"dtype\":\"U8\",\"shape\":[2,1],\"data_offsets\":[4,6]},%*s"
                 "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                 spaces, "");
        assert_int_equal(safetensors_read(&file, write_file(header, -1, 6)), STATUS_OK);
        const struct named_tensor *a = safetensors_find(&file, "a");
        const struct named_tensor *b = safetensors_find(&file, "b");
        assert_int_equal((uintptr_t)a->data % 4, 0);
        assert_memory_equal(a->data, "\1\2\3\4", 4);
        assert_memory_equal(b->data, "\5\6", 2);
        assert_int_equal(b->rank, 2);
        assert_int_equal(b->shape[0], 2);
        assert_int_equal(file.metadata_count, 0);
        safetensors_release(&file);
    }
}

#define T(name, type, shape, from, to)                                                             \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"
#define A T("a", "F32", "[2]", 0, 8)

static const struct malformed {
    const char *sentence, *header;
    int64_t length; /* announced; -1: the header's */
    size_t data_size;
} malformed[] = {
    /* the frame */
    {"does not fit into the file", "{" A "}", 1000, 8},
    {"does not fit into the file", "{" A "}", INT64_MAX, 8},
    {"does not fit into the file", "{" A "}", 17 << 20, 8},
    {"is not a JSON object: ", "{" A "}", 10, 8},
    {"is not a JSON object: ", "{" A, -1, 8},
    {"is not a JSON object: ", "", -1, 0},
    {"is not a JSON object", "[1]", -1, 0},
    {"duplicate object key", "{" A "," T("a", "F32", "[2]", 8, 16) "}", -1, 16},
    {"duplicate object key", "{" T("a", "F32\",\"dtype\":\"F32", "[2]", 0, 8) "}", -1, 8},
    /* entries */
    {"tensor a has the type (none)", "{\"a\":7}", -1, 0},
    {"tensor a has the type (none)", "{\"a\":{\"shape\":[0],\"data_offsets\":[0,0]}}", -1, 0},
    {"tensor a has the type F16", "{" T("a", "F16", "[4]", 0, 8) "}", -1, 8},
    {"tensor a has the type f32", "{" T("a", "f32", "[2]", 0, 8) "}", -1, 8},
    {"has no shape of at most 4", "{" T("a", "F32", "2", 0, 8) "}", -1, 8},
    {"has no shape of at most 4", "{" T("a", "F32", "[1,1,1,1,2]", 0, 8) "}", -1, 8},
    {"a dimension that is not a size", "{" T("a", "F32", "[-2]", 0, 8) "}", -1, 8},
    {"a dimension that is not a size", "{" T("a", "F32", "[2.0]", 0, 8) "}", -1, 8},
    {"a dimension that is not a size", "{" T("a", "F32", "[\"2\"]", 0, 8) "}", -1, 8},
    {"the size of tensor a overflows", "{" T("a", "F32", "[4611686018427387904,4,1]", 0, 0) "}", -1,
     0},
    {"the size of tensor a overflows", "{" T("a", "U8", "[4294967296,4294967296]", 0, 0) "}", -1,
     0},
    {"too big integer", "{" T("a", "U8", "[18446744073709551617]", 0, 1) "}", -1, 1},
    {"has no pair of data_offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}", -1, 0},
    {"has no pair of data_offsets",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", -1, 2},
    {"has no pair of data_offsets", "{" T("a", "U8", "[1]", 0, 1.0) "}", -1, 1},
    {"lies at [0, 16) of 8 data bytes", "{" T("a", "F32", "[4]", 0, 16) "}", -1, 8},
    {"lies at [-8, 0)", "{" T("a", "F32", "[2]", -8, 0) "}", -1, 8},
    {"lies at [8, 0)", "{" T("a", "F32", "[2]", 8, 0) "}", -1, 8},
    {"its shape needs 12", "{" T("a", "F32", "[3]", 0, 8) "}", -1, 8},
    {"its shape needs 4", "{" T("a", "F32", "[]", 0, 8) "}", -1, 8},
    {"tensor b is not aligned", "{" T("a", "U8", "[2]", 0, 2) "," T("b", "F32", "[1]", 2, 6) "}",
     -1, 6},
    /* the tensors together */
    {"tensor b overlaps another", "{" A "," T("b", "F32", "[2]", 4, 12) "}", -1, 12},
    {"overlaps another", "{" A "," T("b", "F32", "[2]", 0, 8) "}", -1, 8},
    {"tensor b leaves a hole", "{" A "," T("b", "F32", "[2]", 12, 20) "}", -1, 20},
    {"tensor a leaves a hole", "{" T("a", "F32", "[2]", 4, 12) "}", -1, 12},
    {"1 bytes behind the last tensor", "{" A "}", -1, 9},
    {"5 bytes behind the last tensor", "{}", -1, 5},
    /* metadata */
    {"__metadata__ is not an object", "{\"__metadata__\":[]," A "}", -1, 8},
    {"metadata k is not a string", "{\"__metadata__\":{\"k\":1}," A "}", -1, 8},
};

static void assert_refused(const char *path, const char *sentence) {
    struct safetensors file;
    assert_int_equal(safetensors_read(&file, path), STATUS_USAGE);
    if (strstr(failure(), path) == NULL || strstr(failure(), sentence) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", failure(), sentence);
    assert_null(file.tensors);
    assert_null(file.memory);
    failure_clear();
}

static void malformed_files_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        const struct malformed *row = &malformed[i];
        assert_refused(write_file(row->header, row->length, row->data_size), row->sentence);
    }
    assert_refused(test_path("none"), "cannot open");
}

static void headers_are_at_most_16_mb(void **state) {
    (void)state;
    size_t most = (size_t)16 << 20;
    for (size_t length = most; length <= most + 1; length++) {
        struct safetensors file;
        char *whole = calloc(8 + length, 1);
        whole[3] = (char)(length >> 24);
        whole[0] = (char)length;
        memset(whole + 8, ' ', length);
        memcpy(whole + 8, "{}", 2);
        const char *path = test_write("large.safetensors", whole, 8 + length);
        free(whole);
        if (length > most) {
            assert_refused(path, "a header of 16777217 bytes");
        } else {
            assert_int_equal(safetensors_read(&file, path), STATUS_OK);
            safetensors_release(&file);
        }
    }
}

/* Wherever a file is cut, it is refused; nothing outside of it is read (the sanitizer sees that).
 */
static void cut_files_are_refused(void **state) {
    (void)state;
    uint8_t whole[2000];
    const char *path = test_path("whole.safetensors");
    assert_int_equal(safetensors_write(path, tensors, TENSORS, notes, 2), STATUS_OK);
    FILE *stream = fopen(path, "rb");
    size_t size = fread(whole, 1, sizeof whole, stream);
    fclose(stream);
    for (size_t cut = 0; cut < size; cut++)
        assert_refused(test_write("cut.safetensors", whole, cut),
                       cut < 8 ? "too short for a safetensors file" : "");
    for (size_t at = 0; at < size; at++) { /* any changed byte: refused or read, but no crash */
        struct safetensors file;
        whole[at] ^= (uint8_t)(1 << at % 8);
        if (safetensors_read(&file, test_write("cut.safetensors", whole, size)) == STATUS_OK)
            safetensors_release(&file);
        failure_clear();
        whole[at] ^= (uint8_t)(1 << at % 8);
    }
}

static void copies_are_checked(void **state) {
    (void)state;
    const char *path = test_path("copy.safetensors");
    struct safetensors file;
    float into[6];
    const int64_t right[] = {3, 2, 1, 1}, wrong[] = {3, 1, 1, 2};
    const char *name = "blocks.0.conv_pw.weight";
    assert_int_equal(safetensors_write(path, tensors, TENSORS, NULL, 0), STATUS_OK);
    assert_int_equal(safetensors_read(&file, path), STATUS_OK);
    assert_int_equal(safetensors_copy(&file, path, name, TENSOR_F32, 4, right, into), STATUS_OK);
    assert_memory_equal(into, floats, sizeof floats);

    const struct {
        const char *name, *sentence;
        enum tensor_type type;
        int rank;
        const int64_t *shape;
    } refused[] = {
        {name, "is F32 [3, 2, 1, 1], but F32 [3, 1, 1, 2] is expected", TENSOR_F32, 4, wrong},
        {name, "is F32 [3, 2, 1, 1], but F32 [3, 2] is expected", TENSOR_F32, 2, right},
        {name, "is F32 [3, 2, 1, 1], but F64 [3, 2, 1, 1] is expected", TENSOR_F64, 4, right},
        {"other", "there is no tensor other", TENSOR_F32, 4, right},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        memset(into, 0, sizeof into);
        assert_int_equal(safetensors_copy(&file, path, refused[i].name, refused[i].type,
                                          refused[i].rank, refused[i].shape, into),
                         STATUS_USAGE);
        assert_non_null(strstr(failure(), refused[i].sentence));
        assert_non_null(strstr(failure(), path));
        assert_true(into[0] == 0);
        failure_clear();
    }
    safetensors_release(&file);
}

static void what_could_not_be_read_again_is_not_written(void **state) {
    (void)state;
    const char *path = test_path("bad.safetensors");
    struct named_tensor two[] = {tensors[0], tensors[0]};
    struct metadata twice[] = {notes[0], notes[0]};
    assert_int_equal(safetensors_write(path, two, 2, NULL, 0), STATUS_FAILED);
    assert_non_null(strstr(failure(), "bytes is there twice"));
    failure_clear();
    assert_int_equal(safetensors_write(path, two, 1, twice, 2), STATUS_FAILED);
    assert_non_null(strstr(failure(), "hash is there twice"));
    failure_clear();
    two[0].name = "\xff";
    assert_int_equal(safetensors_write(path, two, 1, NULL, 0), STATUS_FAILED);
    assert_non_null(strstr(failure(), "is not UTF-8"));
    failure_clear();
    two[0].name = "__metadata__";
    assert_int_equal(safetensors_write(path, two, 1, NULL, 0), STATUS_FAILED);
    assert_int_equal(test_files(), 0);
}

static void missing_memory_has_a_sentence(void **state) {
    (void)state;
    const char *path = test_path("memory.safetensors");
    struct safetensors file;
    for (int call = 1; call <= 3; call++) {
        allocate_fail_at(call);
        assert_int_equal(safetensors_write(path, tensors, TENSORS, notes, 2), STATUS_FAILED);
        assert_non_null(strstr(failure(), "no memory"));
        failure_clear();
    }
    assert_int_equal(test_files(), 0);
    allocate_fail_at(0);
    assert_int_equal(safetensors_write(path, tensors, TENSORS, notes, 2), STATUS_OK);
    for (int call = 1; call <= 4; call++) {
        allocate_fail_at(call);
        assert_int_equal(safetensors_read(&file, path), STATUS_FAILED);
        assert_non_null(strstr(failure(), "no memory"));
        failure_clear();
    }
    allocate_fail_at(0);
}

/* Whatever part of the header finds no memory: no file rather than one with another header. */
static void a_header_without_memory_is_not_written(void **state) {
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s", test_path("memory.safetensors"));
    enum status status = STATUS_FAILED;
    for (int n = 1; status != STATUS_OK; n++) {
        allocate_fail_at(n);
        status = safetensors_write(path, tensors, TENSORS, notes, 2);
        allocate_fail_at(0);
        assert_int_equal(test_files(), status == STATUS_OK);
        assert_int_equal(status, failure()[0] == '\0' ? STATUS_OK : STATUS_FAILED);
        assert_true(n > 20 || status != STATUS_OK);
        failure_clear();
    }
    struct safetensors file;
    assert_int_equal(safetensors_read(&file, path), STATUS_OK);
    assert_int_equal(file.count, TENSORS);
    safetensors_release(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(written_files_are_read_again, fresh_folder),
        cmocka_unit_test_setup(files_laid_out_by_hand_are_understood, fresh_folder),
        cmocka_unit_test_setup(malformed_files_are_refused, fresh_folder),
        cmocka_unit_test_setup(headers_are_at_most_16_mb, fresh_folder),
        cmocka_unit_test_setup(cut_files_are_refused, fresh_folder),
        cmocka_unit_test_setup(copies_are_checked, fresh_folder),
        cmocka_unit_test_setup(what_could_not_be_read_again_is_not_written, fresh_folder),
        cmocka_unit_test_setup(missing_memory_has_a_sentence, fresh_folder),
        cmocka_unit_test_setup(a_header_without_memory_is_not_written, fresh_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
