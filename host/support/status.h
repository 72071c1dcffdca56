/* How a function says that it failed, and how the reason reaches the user.
 *
 * Every function that can fail returns an enum status. The one that finds the error composes the
 * sentence with fail(); callers pass the status up with TRY; only main.c prints the sentence and
 * exits. The values are the exit codes of the program.
 */
#ifndef TAPER_STATUS_H
#define TAPER_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

enum status {
    STATUS_OK = 0,
    STATUS_FAILED = 1,      /* something went wrong while working */
    STATUS_USAGE = 2,       /* bad usage, configuration or input file */
    STATUS_INTERRUPTED = 3, /* stopped with everything saved: run the same command again */
    STATUS_RANK_LOST = 4    /* another rank died or hung */
};

/* Keeps the sentence (one line, no trailing newline, without "error: ") for this thread and returns
 * `status`. The first error wins until failure_clear(): a clean-up that fails does not hide it. */
enum status fail(enum status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " before the kept sentence, for places that only a caller knows. */
enum status fail_in(enum status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The kept sentence of this thread, or "" after no error. Valid until the next fail() or clear. */
const char *failure(void);
void failure_clear(void);

#ifdef __cplusplus
}
#endif

/* Evaluates a call once; returns its status to our caller when it failed. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum status try_status_ = (call);                                                          \
        if (try_status_ != STATUS_OK)                                                              \
            return try_status_;                                                                    \
    } while (0)

/* The same for functions that own things: jumps to the label `done` with `status` set. */
#define TRY_CLEANUP(call)                                                                          \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status != STATUS_OK)                                                                   \
            goto done;                                                                             \
    } while (0)

#endif
