#include "metric/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

double process_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void close_pair(int pair[2]) {
    close(pair[0]);
    close(pair[1]);
}

/* A program may have changed what signals do; the command starts with the defaults. */
static void default_signals(posix_spawnattr_t *attributes) {
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                             POSIX_SPAWN_SETSIGMASK);
}

static int spawn(pid_t *id, const char *command, int input, int output) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    default_signals(&attributes);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    char *arguments[] = {"sh", "-c", (char *)command, NULL};
    int error = posix_spawn(id, "/bin/sh", &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int process_start(struct process *process, const char *command) {
    int input[2], output[2];
    if (pipe2(input, O_CLOEXEC) != 0)
        return errno;
    if (pipe2(output, O_CLOEXEC) != 0) {
        int error = errno;
        close_pair(input);
        return error;
    }
    int error = spawn(&process->id, command, input[0], output[1]);
    if (error) {
        close_pair(input);
        close_pair(output);
        process->id = 0;
        return error;
    }
    close(input[0]);
    close(output[1]);
    process->to = input[1];
    process->from = output[0];
    process->rest = 0;
    fcntl(process->to, F_SETFL, O_NONBLOCK);
    fcntl(process->from, F_SETFL, O_NONBLOCK);
    return 0;
}

static bool wait_for(int file, short event, double until) {
    for (;;) {
        double left = until - process_now();
        struct pollfd wait = {.fd = file, .events = event};
        int ready = poll(&wait, 1, left <= 0 ? 0 : left > 1e6 ? 1000000000 : (int)(left * 1e3) + 1);
        if (ready > 0)
            return true;
        if (left <= 0)
            return false;
    }
}

/* Writing to a pipe that nobody reads raises SIGPIPE, which would end us. It is held back for this
 * thread and taken off the list, unless it was pending before and is not ours to take. */
static ssize_t write_quietly(int file, const char *text, size_t length) {
    sigset_t broken_pipe, before, pending;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
    ssize_t written = write(file, text, length);
    int error = errno;
    if (written < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE))
        sigtimedwait(&broken_pipe, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return written;
}

enum process_result process_write(struct process *process, const char *text, size_t length,
                                  double until) {
    while (length > 0) {
        ssize_t written = write_quietly(process->to, text, length);
        if (written >= 0) {
            text += written;
            length -= (size_t)written;
        } else if (errno == EAGAIN) {
            if (!wait_for(process->to, POLLOUT, until))
                return PROCESS_LATE;
        } else if (errno != EINTR) {
            return PROCESS_ENDED;
        }
    }
    return PROCESS_OK;
}

enum process_result process_read_line(struct process *process, char **line, double until) {
    size_t held = 0;
    for (;;) {
        char *end = memchr(process->buffer, '\n', held);
        if (end) {
            *end = '\0';
            *line = process->buffer;
            process->rest = held - (size_t)(end + 1 - process->buffer);
            return PROCESS_OK;
        }
        if (held == sizeof process->buffer)
            return PROCESS_LONG_LINE;
        if (!wait_for(process->from, POLLIN, until))
            return PROCESS_LATE;
        ssize_t count = read(process->from, process->buffer + held, sizeof process->buffer - held);
        if (count == 0)
            return PROCESS_ENDED;
        if (count > 0)
            held += (size_t)count;
        else if (errno != EAGAIN && errno != EINTR)
            return PROCESS_ENDED;
    }
}

bool process_has_more(const struct process *process) {
    struct pollfd wait = {.fd = process->from, .events = POLLIN};
    return process->rest > 0 || (poll(&wait, 1, 0) > 0 && (wait.revents & POLLIN));
}

/* Leaves the process unreaped, so that its number stays taken until the group is killed. */
static bool ended_within(const struct process *process, double seconds, siginfo_t *info) {
    double until = process_now() + seconds;
    for (;;) {
        *info = (siginfo_t){0};
        if (waitid(P_PID, (id_t)process->id, info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info->si_pid != 0)
            return true;
        if (process_now() >= until)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

const char *process_ending(const struct process *process, char text[64]) {
    const double brief = 0.2; /* between closing its output and ending */
    siginfo_t info;
    if (!ended_within(process, brief, &info))
        return "it still runs";
    const char *how = info.si_code == CLD_EXITED ? "exit status" : "killed by signal";
    snprintf(text, 64, "%s %d", how, info.si_status);
    return text;
}

void process_stop(struct process *process, double grace) {
    if (process->id == 0)
        return;
    close(process->to);
    siginfo_t info;
    ended_within(process, grace, &info);
    kill(-process->id, SIGKILL);
    while (waitpid(process->id, NULL, 0) < 0 && errno == EINTR)
        continue;
    close(process->from);
    process->id = 0;
}
