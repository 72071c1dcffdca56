/* A long-lived child process that is asked and answers in lines, with deadlines.
 *
 * It runs in a process group of its own, so that it ends together with its children and a Ctrl-C
 * at the terminal reaches only us. Its standard error stays ours.
 */
#ifndef TAPER_PROCESS_H
#define TAPER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { MAX_LINE = 64 * 1024 };

struct process {
    pid_t id; /* 0: not running */
    int to, from;
    size_t rest; /* bytes that came behind the last line */
    char buffer[MAX_LINE + 1];
};

enum process_result {
    PROCESS_OK,
    PROCESS_LATE,     /* the deadline passed */
    PROCESS_ENDED,    /* closed its input or output, or ended */
    PROCESS_LONG_LINE /* a line over MAX_LINE bytes */
};

double process_now(void); /* seconds, of a clock that only goes forward: for deadlines */

/* 0, or the errno. */
int process_start(struct process *process, const char *command);

enum process_result process_write(struct process *process, const char *text, size_t length,
                                  double until);

/* *line is without its newline, valid until the next call. What came behind the last line is
 * dropped: ask process_has_more() before. */
enum process_result process_read_line(struct process *process, char **line, double until);

/* Has it written something that was not asked for? */
bool process_has_more(const struct process *process);

/* How it ended, waiting briefly for that: "exit status 127", "killed by signal 9" or "it still
 * runs". */
const char *process_ending(const struct process *process, char text[64]);

/* Closes its input, gives it so many seconds to end by itself, then kills the whole group. */
void process_stop(struct process *process, double grace);

#endif
