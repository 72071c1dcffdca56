/* taper doctor: what this build and this machine are, and whether several ranks and CUDA work here.
 */
#include "cluster/transport.h"
#include "commands/commands.h"
#include "report/format.h"
#include "supernet/backend.h"
#include "support/machine.h"

#include <argp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#if defined __AVX512F__
#define VECTORS "AVX-512"
#elif defined __AVX2__
#define VECTORS "AVX2"
#else
#define VECTORS "no AVX2"
#endif

static void print_line(const char *what, const char *value) {
    printf("%-14s %s\n", what, value);
}

static void print_machine(void) {
    char text[512], size[FORMAT_SIZE], left[FORMAT_SIZE];
    cpu_set_t usable;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int ours = sched_getaffinity(0, sizeof usable, &usable) == 0 ? CPU_COUNT(&usable) : (int)cores;
    machine_processor(text, sizeof text);
    print_line("processor", text);
    snprintf(text, sizeof text, "%ld, %d for this process", cores, ours);
    print_line("cores", text);

    struct sysinfo memory;
    if (sysinfo(&memory) == 0)
        print_line("memory", format_bytes(size, (double)memory.totalram * memory.mem_unit));
    struct statvfs shared;
    if (statvfs("/dev/shm", &shared) != 0)
        return print_line("/dev/shm", "none");
    snprintf(text, sizeof text, "%s, %s free",
             format_bytes(size, (double)shared.f_blocks * (double)shared.f_frsize),
             format_bytes(left, (double)shared.f_bavail * (double)shared.f_frsize));
    print_line("/dev/shm", text);
}

/* Why CUDA does not work is what the reader came for: a sentence, and what helps. */
static void print_trouble(const char *what, const char *remedy) {
    print_line(what, failure());
    print_line("", remedy);
    failure_clear();
}

/* Whether the library could be asked. */
static bool print_report(const char *file) {
    char text[4096], *rest = text;
    if (backend_report(file, text, sizeof text) != STATUS_OK)
        return false;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';)
        print_line("", line);
    return true;
}

static void print_backend(const char *file) {
    char path[PATH_MAX];
    const struct ops *ops;
    snprintf(path, sizeof path, "%s", file);
    if (file[0] == '\0' && backend_find(path) != STATUS_OK)
        return print_trouble("CUDA backend",
                             "to build it, install the CUDA toolkit (nvcc 12 or later), then: "
                             "cmake --preset cuda && cmake --build --preset cuda");
    print_line("CUDA backend", path);
    bool works = backend_load(path, PRECISION_BF16, &ops) == STATUS_OK;
    if (!print_report(path) && !works)
        return print_trouble("", "if a library is missing, install the CUDA runtime of the release "
                                 "that built this one (libcudart; the toolkit has it)");
    if (!works)
        return print_trouble("", "it takes an NVIDIA card of compute capability 8.0 or later and "
                                 "its driver (nvidia-smi lists it; containers need --gpus all)");
    print_line("", "works: --device cuda");
    failure_clear();
}

static void print_ranks(void) {
    char path[PATH_MAX];
    if (transport_check(2, path) == STATUS_OK)
        return print_line("ranks", path);
    print_line("ranks", failure());
    failure_clear();
}

static const char *backend = "";

static error_t parse(int key, char *argument, struct argp_state *state) {
    switch (key) {
    case 'b':
        backend = argument;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "it takes no configuration");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static enum status execute(int argc, char **argv) {
    static const struct argp_option options[] = {
        {"backend", 'b', "FILE", 0, "Library of the CUDA backend; default: beside the program", 0},
        {0}};
    const struct argp argp = {.options = options, .parser = parse, .doc = command_doctor.summary};
    argp_err_exit_status = STATUS_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, NULL) != 0)
        return fail(STATUS_USAGE, "the arguments cannot be read");
    print_line("taper", TAPER_VERSION ", " TAPER_BUILD ", " VECTORS);
    print_machine();
    print_ranks();
    print_backend(backend);
    return STATUS_OK;
}

const struct command command_doctor = {
    "doctor", "This build and this machine, and whether CUDA works here", execute};
