/* Memory: zeroed, refused with a sentence, and an arena whose guards notice what overruns them. */
#include "support/memory.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int reset(void **state) {
    (void)state;
    allocate_fail_at(0);
    failure_clear();
    return 0;
}

static void allocated_memory_is_zeroed(void **state) {
    (void)state;
    unsigned char *bytes = NULL;
    assert_int_equal(allocate(&bytes, 1000, 3, "bytes"), STATUS_OK);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(bytes[i], 0);
    free(bytes);
    assert_int_equal(allocate(&bytes, 0, 8, "nothing"), STATUS_OK);
    assert_non_null(bytes);
    free(bytes);
}

static void overflow_is_an_error(void **state) {
    (void)state;
    char start;
    double *numbers = (double *)&start;
    assert_int_equal(allocate(&numbers, SIZE_MAX / 4, 8, "the numbers"), STATUS_FAILED);
    assert_null(numbers);
    assert_non_null(strstr(failure(), "no memory for the numbers"));
}

static void the_nth_call_fails(void **state) {
    (void)state;
    allocate_fail_at(3);
    for (int call = 1; call <= 4; call++) {
        void *memory;
        struct arena *arena;
        enum status expected = call == 3 ? STATUS_FAILED : STATUS_OK;
        if (call % 2 == 1) {
            assert_int_equal(allocate(&memory, 12300, 1000, "weights"), expected);
            free(memory);
        } else {
            assert_int_equal(arena_create(&arena, 100, "arena"), expected);
            arena_release(arena);
        }
    }
    assert_string_equal(failure(), "no memory for weights (12.3 MB)");
    failure_clear();
    struct arena *arena;
    allocate_fail_at(1);
    assert_int_equal(arena_create(&arena, 2000000, "activations"), STATUS_FAILED);
    assert_null(arena);
    assert_string_equal(failure(), "no memory for activations (2.0 MB)");
}

static void *count_failures(void *failures) {
    for (int i = 0; i < 1000; i++) {
        void *memory;
        if (allocate(&memory, 1, 1, "a byte") != STATUS_OK)
            atomic_fetch_add((atomic_int *)failures, 1);
        free(memory);
    }
    return NULL;
}

static void exactly_one_call_fails_among_threads(void **state) {
    (void)state;
    atomic_int failures = 0;
    pthread_t threads[4];
    allocate_fail_at(2000);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_failures, &failures), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&failures), 1);
}

static const size_t piece_sizes[] = {1, 63, 64, 65, 4096, 0, 1000003, 7};
enum { PIECES = sizeof piece_sizes / sizeof *piece_sizes };

static struct arena *arena_of_pieces(unsigned char **pieces) {
    struct arena *arena;
    size_t bytes = 0;
    for (int i = 0; i < PIECES; i++)
        bytes += arena_piece(piece_sizes[i]);
    assert_int_equal(arena_create(&arena, bytes, "pieces"), STATUS_OK);
    for (int i = 0; i < PIECES; i++) {
        pieces[i] = arena_take(arena, piece_sizes[i]);
        assert_non_null(pieces[i]);
    }
    return arena;
}

static void arena_holds_what_arena_piece_adds_up_to(void **state) {
    (void)state;
    unsigned char *pieces[PIECES];
    struct arena *arena = arena_of_pieces(pieces);
    assert_null(arena_take(arena, 64));
    assert_null(arena_take(arena, SIZE_MAX));
    assert_null(arena_take(arena, SIZE_MAX - 100));
    for (int i = 0; i < PIECES; i++) {
        assert_int_equal((uintptr_t)pieces[i] % 64, 0);
        for (size_t byte = 0; byte < piece_sizes[i]; byte++)
            assert_int_equal(pieces[i][byte], 0);
        memset(pieces[i], 255, piece_sizes[i]);
    }
    assert_int_equal(arena_check(arena), 0);
    arena_release(arena);
    arena_release(NULL);
}

/* Cut another way: the guards of the first cut are no guards any more. */
static void an_arena_may_be_cut_anew(void **state) {
    (void)state;
    unsigned char *pieces[PIECES], *first, *whole;
    size_t bytes = 0;
    struct arena *arena = arena_of_pieces(pieces);
    for (int i = 1; i < PIECES; i++)
        bytes += arena_piece(piece_sizes[i]);
    bytes = (bytes - arena_piece(0)) / 64 * 64;
    arena_begin_anew(arena);
    first = arena_take(arena, piece_sizes[0]);
    whole = arena_take(arena, bytes);
    assert_ptr_equal(first, pieces[0]);
    assert_ptr_equal(whole, pieces[1]);
    memset(whole, 1, bytes);
    assert_int_equal(arena_check(arena), 0);
    whole[-1] ^= 1;
    assert_int_equal(arena_check(arena), 1);
    assert_null(arena_take(arena, 4096));
    arena_release(arena);
}

static void every_broken_guard_is_counted(void **state) {
    (void)state;
    unsigned char *pieces[PIECES];
    struct arena *arena = arena_of_pieces(pieces);
    pieces[2][64] ^= 1; /* the first byte after a piece that fills its lines */
    assert_int_equal(arena_check(arena), 1);
    pieces[1][-1] ^= 1; /* the last byte of the guard before */
    assert_int_equal(arena_check(arena), 2);
    memset(pieces[3] + 128, 0, 64); /* a whole guard */
    assert_int_equal(arena_check(arena), 3);
    arena_release(arena);
}

static void guards_read_as_nan(void **state) {
    (void)state;
    struct arena *arena;
    assert_int_equal(arena_create(&arena, arena_piece(64), "piece"), STATUS_OK);
    const char *piece = arena_take(arena, 64);
    for (int byte = 64; byte < 128; byte += 8) {
        double as_double;
        float as_float;
        memcpy(&as_double, piece + byte, sizeof as_double);
        memcpy(&as_float, piece + byte, sizeof as_float);
        assert_true(isnan(as_double) && isnan(as_float));
    }
    arena_release(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(allocated_memory_is_zeroed, reset),
        cmocka_unit_test_setup(overflow_is_an_error, reset),
        cmocka_unit_test_setup(the_nth_call_fails, reset),
        cmocka_unit_test_setup(exactly_one_call_fails_among_threads, reset),
        cmocka_unit_test_setup(arena_holds_what_arena_piece_adds_up_to, reset),
        cmocka_unit_test_setup(an_arena_may_be_cut_anew, reset),
        cmocka_unit_test_setup(every_broken_guard_is_counted, reset),
        cmocka_unit_test_setup(guards_read_as_nan, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
