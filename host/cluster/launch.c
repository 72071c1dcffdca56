#include "cluster/launch.h"
#include "cluster/environment.h"
#include "cluster/transport.h"
#include "support/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Seconds: mpirun waits so long after one rank has ended badly, and again between SIGTERM and
 * SIGKILL to the others. They notice by themselves, and say so, before. */
#define GRACE "2"

enum { NO_PROGRAM = 127 };

enum status launch_wanted(int ranks, bool *wanted) {
    struct started started;
    char path[PATH_MAX];
    TRY(environment_ranks(&started));
    /* a batch script of Slurm's stands among tasks that nobody has started yet */
    bool by_nobody = started.variable == NULL || (strncmp(started.variable, "SLURM", 5) == 0 &&
                                                  getenv("SLURM_STEP_ID") == NULL);
    *wanted = ranks > 1 && by_nobody;
    return *wanted ? transport_check(ranks, path) : STATUS_OK;
}

/* Threads are ours to place, and more ranks than cores are the user's wish. */
static const char *const options[] = {"mpirun",
                                      "--quiet",
                                      "--bind-to",
                                      "none",
                                      "--oversubscribe",
                                      "--mca",
                                      "odls_base_sigkill_timeout",
                                      GRACE};
enum { OPTIONS = sizeof options / sizeof options[0], MORE_ARGUMENTS = 6 };

static enum status command_line(const char ***line, int ranks, const char *const *arguments) {
    static char number[16], program[PATH_MAX];
    size_t count = 0, at = 0;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length < 0)
        return fail(STATUS_FAILED, "the program's own name is unknown: %s", strerror(errno));
    while (arguments[count] != NULL)
        count++;
    TRY(allocate(line, OPTIONS + MORE_ARGUMENTS + count, sizeof **line, "the command line"));
    const char **next = *line;
    for (; at < OPTIONS; at++)
        next[at] = options[at];
    if (geteuid() == 0) /* it refuses to work for root otherwise */
        next[at++] = "--allow-run-as-root";
    snprintf(number, sizeof number, "%d", ranks);
    next[at++] = "-np";
    next[at++] = number;
    next[at++] = program;
    for (size_t i = 0; i < count; i++)
        next[at++] = arguments[i];
    return STATUS_OK;
}

/* The child's part; signals that the terminal sends to its whole group come through us. */
static _Noreturn void become_launcher(const char *const *line, const sigset_t *mask) {
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpgid(0, 0);
    if (nothing >= 0)
        dup2(nothing, STDIN_FILENO);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(line[0], (char *const *)(uintptr_t)line);
    _exit(NO_PROGRAM);
}

static enum status status_of(int code) {
    if (WIFEXITED(code) && WEXITSTATUS(code) <= STATUS_RANK_LOST)
        return (enum status)WEXITSTATUS(code);
    if (WIFEXITED(code) && WEXITSTATUS(code) == NO_PROGRAM)
        return fail(STATUS_FAILED, "--ranks needs mpirun, which is not there: install openmpi-bin");
    return fail(STATUS_RANK_LOST, "a rank was lost (code %d of mpirun); the same command goes on",
                WIFEXITED(code) ? WEXITSTATUS(code) : 128 + WTERMSIG(code));
}

/* mpirun hands SIGUSR1 on and ends the ranks on SIGTERM: that is what a second request does. */
static enum status wait_for(pid_t launcher, const sigset_t *signals) {
    int code, requests = 0, number;
    for (;;) {
        if (waitpid(launcher, &code, WNOHANG) == launcher)
            return status_of(code);
        if (sigwait(signals, &number) == 0 && number != SIGCHLD)
            kill(launcher, requests++ == 0 ? SIGUSR1 : SIGTERM);
    }
}

enum status launch(int ranks, const char *const *arguments) {
    sigset_t signals, before;
    const char **line;
    TRY(command_line(&line, ranks, arguments));
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, &before);
    fflush(NULL);
    pid_t launcher = fork();
    if (launcher == 0)
        become_launcher(line, &before);
    enum status status = launcher < 0
                             ? fail(STATUS_FAILED, "cannot start mpirun: %s", strerror(errno))
                             : wait_for(launcher, &signals);
    sigprocmask(SIG_SETMASK, &before, NULL);
    free(line);
    return status;
}
