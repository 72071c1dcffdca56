#include "support/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t flag;

static void on_signal(int number) {
    (void)number;
    flag = 1;
}

void interrupt_catch(void) {
    /* SA_RESETHAND: the second signal meets the default action. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL); /* of batch systems, and of the launcher of ranks */
}

bool interrupt_requested(void) {
    return flag != 0;
}

void interrupt_request(bool requested) {
    flag = requested;
}
