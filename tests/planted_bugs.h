/* Bugs of the usual kinds, each of which the execution of CUDA on the CPU must find, and their
 * correct twins, which it must pass. */
#ifndef TAPER_PLANTED_BUGS_H
#define TAPER_PLANTED_BUGS_H

#ifdef __cplusplus
extern "C" {
#endif

enum finder {
    NOBODY, /* correct */
    ALWAYS,
    ADDRESS_SANITIZER, /* or the undefined one, which is built with it */
    THREAD_SANITIZER,
    LATE_STREAMS /* shows as a wrong result */
};

struct planted_bug {
    const char *name;
    enum finder finder;
    const char *report; /* what the child says */
    void (*run)(void);
};

extern const struct planted_bug planted_bugs[];
extern const int planted_bug_count;

#ifdef __cplusplus
}
#endif

#endif
