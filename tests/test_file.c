/* Files: whole or untouched whatever happens while they are written. */
#include "support/file.h"
#include "support/memory.h"
#include "support_folder.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 1 << 24 };

/* These take the place of the C library's, to show what a test cannot otherwise have: writes that
 * are interrupted or short, and a disk that fails at the last moment. */
static int writes_stutter, disk_fails;

ssize_t write(int file, const void *data, size_t size) {
    static int calls;
    if (writes_stutter && ++calls % 3 == 0) {
        errno = EINTR;
        return -1;
    }
    return syscall(SYS_write, file, data, writes_stutter && size > 7 ? 7 : size);
}

int fsync(int file) {
    if (disk_fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, file);
}

static int fresh_folder(void **state) {
    (void)state;
    failure_clear();
    test_folder("test_file");
    return 0;
}

static void assert_holds(const char *path, const char *expected) {
    char *data;
    size_t size;
    assert_int_equal(file_read(path, MOST, &data, &size), STATUS_OK);
    assert_int_equal(size, strlen(expected));
    assert_string_equal(data, expected);
    free(data);
}

static enum status replace_with(const char *path, const char *text) {
    return file_replace(path, &(struct file_part){text, strlen(text)}, 1);
}

static void assert_sentence_has(const char *first, const char *second) {
    if (strstr(failure(), first) == NULL || strstr(failure(), second) == NULL)
        fail_msg("\"%s\" does not say \"%s\" and \"%s\"", failure(), first, second);
    failure_clear();
}

static void parts_are_written_in_order(void **state) {
    (void)state;
    const char *path = test_path("parts");
    const struct file_part parts[] = {{"one ", 4}, {NULL, 0}, {"two ", 4}, {"three", 5}};
    assert_int_equal(file_replace(path, parts, 4), STATUS_OK);
    assert_holds(path, "one two three");
    assert_int_equal(replace_with(path, "shorter"), STATUS_OK);
    assert_holds(path, "shorter");
    assert_int_equal(file_replace(path, parts, 0), STATUS_OK);
    assert_holds(path, "");
    assert_int_equal(test_files(), 1);
}

static void short_and_interrupted_writes_go_on(void **state) {
    (void)state;
    char text[100];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('!' + i % 90);
    text[sizeof text - 1] = '\0';
    writes_stutter = 1;
    enum status status = replace_with(test_path("stutter"), text);
    writes_stutter = 0;
    assert_int_equal(status, STATUS_OK);
    assert_holds(test_path("stutter"), text);
}

static void failing_disk_leaves_the_old_file(void **state) {
    (void)state;
    const char *path = test_path("disk");
    assert_int_equal(replace_with(path, "old"), STATUS_OK);
    disk_fails = 1;
    enum status status = replace_with(path, "new");
    disk_fails = 0;
    assert_int_equal(status, STATUS_FAILED);
    assert_sentence_has(path, "Input/output error");
    assert_holds(path, "old");
    assert_int_equal(test_files(), 1);
}

static void print_numbers(const void *count, FILE *file) {
    for (int i = 0; i < *(const int *)count; i++)
        fprintf(file, "%d\n", i);
}

/* Whichever growth of the text finds no memory: no file rather than half of one. */
static void a_text_without_memory_is_not_written(void **state) {
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s", test_path("text"));
    int count = 5000, failures = -1;
    enum status status = STATUS_FAILED;
    for (long n = 1; status != STATUS_OK; n++, failures++) {
        allocate_fail_at(n);
        status = file_replace_text(path, print_numbers, &count);
        allocate_fail_at(0);
        assert_int_equal(test_files(), status == STATUS_OK);
        if (status != STATUS_OK)
            assert_sentence_has("no memory", "text");
    }
    assert_true(failures >= 2);
    char *data;
    size_t size;
    assert_int_equal(file_read(path, MOST, &data, &size), STATUS_OK);
    assert_int_equal(size, 10 + 90 * 2 + 900 * 3 + 4000 * 4 + 5000);
    assert_string_equal(data + size - 10, "4998\n4999\n");
    free(data);
}

static void names_without_a_folder_are_of_this_one(void **state) {
    (void)state;
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(test_path("")), 0);
    assert_int_equal(replace_with("plain", "here"), STATUS_OK);
    assert_holds("plain", "here");
    assert_int_equal(chdir(before), 0);
    assert_holds(test_path("plain"), "here");
}

/* A limit on file sizes stands for a full disk: one short write, then an error. */
static void full_disk_leaves_the_old_file(void **state) {
    (void)state;
    static char large[100000];
    const char *path = test_path("full");
    struct rlimit before, small;
    assert_int_equal(replace_with(path, "old"), STATUS_OK);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 50000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    enum status status = file_replace(path, &(struct file_part){large, sizeof large}, 1);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, STATUS_FAILED);
    assert_sentence_has("full", "File too large");
    assert_holds(path, "old");
    assert_int_equal(test_files(), 1);
}

static void errors_name_the_file_and_the_reason(void **state) {
    (void)state;
    const char *path = test_path("missing/file");
    assert_int_equal(replace_with(path, "x"), STATUS_FAILED);
    assert_sentence_has("missing/file", "No such file or directory");

    path = test_path("folder");
    mkdir(path, 0777);
    assert_int_equal(replace_with(path, "x"), STATUS_FAILED);
    assert_sentence_has("folder", "Is a directory");
    assert_int_equal(test_files(), 0);

    char name[5000];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(replace_with(name, "x"), STATUS_FAILED);
    assert_sentence_has("nnn", "too long");
    assert_int_equal(folder_make(name), STATUS_FAILED);
    assert_sentence_has("nnn", "too long");
}

static void assert_cannot_read(const char *path, size_t most, enum status expected,
                               const char *reason) {
    char *data = (char *)path;
    size_t size;
    assert_int_equal(file_read(path, most, &data, &size), expected);
    assert_null(data);
    assert_sentence_has(path, reason);
}

static void reading_is_bounded_and_says_why_not(void **state) {
    (void)state;
    const char *path = test_path("ten");
    char *data;
    size_t size;
    assert_int_equal(replace_with(path, "0123456789"), STATUS_OK);
    assert_int_equal(file_read(path, 10, &data, &size), STATUS_OK);
    assert_int_equal(size, 10);
    free(data);
    assert_cannot_read(path, 9, STATUS_USAGE, "has 10 bytes; at most 9");
    assert_cannot_read(test_path("none"), MOST, STATUS_USAGE, "No such file");
    assert_cannot_read(test_path("."), MOST, STATUS_USAGE, "it is not a file");
    allocate_fail_at(1);
    assert_cannot_read(path, MOST, STATUS_FAILED, "no memory");
    allocate_fail_at(0);
}

static void folders_are_made_with_their_parents(void **state) {
    (void)state;
    const char *path = test_path("a/b/c/");
    assert_int_equal(folder_make(path), STATUS_OK);
    assert_int_equal(folder_make(path), STATUS_OK);
    assert_true(file_exists(test_path("a/b/c")));
    assert_false(file_exists(test_path("a/b/d")));
    assert_int_equal(replace_with(test_path("taken"), "x"), STATUS_OK);
    assert_int_equal(folder_make(test_path("taken")), STATUS_FAILED);
    assert_sentence_has("taken", "a file has that name");
    assert_int_equal(folder_make(test_path("taken/below")), STATUS_FAILED);
    assert_int_equal(folder_make(""), STATUS_FAILED);
    for (int depth = 3; depth > 0; depth--)
        rmdir(test_path((const char *[]){"a", "a/b", "a/b/c"}[depth - 1]));
}

/* All bytes of the file are the same: it is one that was written whole. */
static void assert_one_version(const char *path, size_t size) {
    char *data;
    size_t got;
    assert_int_equal(file_read(path, MOST, &data, &got), STATUS_OK);
    assert_int_equal(got, size);
    for (size_t i = 1; i < size; i++)
        assert_int_equal(data[i], data[0]);
    free(data);
}

static void readers_and_kills_see_whole_files(void **state) {
    (void)state;
    enum { SIZE = 300000, KILLS = 5 };
    static char content[SIZE];
    const char *path = test_path("versions");
    assert_int_equal(file_replace(path, &(struct file_part){content, SIZE}, 1), STATUS_OK);
    for (int kill_number = 0; kill_number < KILLS; kill_number++) {
        pid_t child = fork();
        if (child == 0) {
            for (int version = 1;; version++) {
                memset(content, version % 100, SIZE);
                if (file_replace(path, &(struct file_part){content, SIZE}, 1) != STATUS_OK)
                    _exit(1);
            }
        }
        for (int look = 0; look < 10; look++) {
            assert_one_version(path, SIZE);
            nanosleep(&(struct timespec){.tv_nsec = 1000000 + 700000 * kill_number}, NULL);
        }
        int ended;
        kill(child, SIGKILL);
        waitpid(child, &ended, 0);
        assert_true(WIFSIGNALED(ended));
        assert_one_version(path, SIZE);
    }
}

/* Known answers of FNV-1a, 64 bits. */
static void hash_is_fnv_1a(void **state) {
    (void)state;
    assert_true(hash_bytes(HASH_START, "", 0) == UINT64_C(0xcbf29ce484222325));
    assert_true(hash_bytes(HASH_START, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(hash_bytes(HASH_START, "foobar", 6) == UINT64_C(0x85944171f73967e8));
    assert_true(hash_bytes(hash_bytes(HASH_START, "foo", 3), "bar", 3) ==
                UINT64_C(0x85944171f73967e8));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(parts_are_written_in_order, fresh_folder),
        cmocka_unit_test_setup(short_and_interrupted_writes_go_on, fresh_folder),
        cmocka_unit_test_setup(failing_disk_leaves_the_old_file, fresh_folder),
        cmocka_unit_test_setup(a_text_without_memory_is_not_written, fresh_folder),
        cmocka_unit_test_setup(names_without_a_folder_are_of_this_one, fresh_folder),
        cmocka_unit_test_setup(full_disk_leaves_the_old_file, fresh_folder),
        cmocka_unit_test_setup(errors_name_the_file_and_the_reason, fresh_folder),
        cmocka_unit_test_setup(reading_is_bounded_and_says_why_not, fresh_folder),
        cmocka_unit_test_setup(folders_are_made_with_their_parents, fresh_folder),
        cmocka_unit_test_setup(readers_and_kills_see_whole_files, fresh_folder),
        cmocka_unit_test(hash_is_fnv_1a),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
