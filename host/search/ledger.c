/* A hash table with open addressing. Options are below 256, so a byte each identifies a
 * sub-network exactly in a tenth of its size.
 */
#include "search/ledger.h"
#include "support/file.h"
#include "support/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(MAX_OPTIONS <= 256, "an option must fit a byte");

void ledger_release(struct ledger *ledger) {
    for (int i = 0; i < ledger->room; i++)
        free(ledger->entries[i]);
    free(ledger->entries);
    *ledger = (struct ledger){0};
}

/* The entry with this key, or the empty place where it belongs. */
static struct ledger_entry **place(const struct ledger *ledger, const unsigned char *key) {
    uint64_t at = hash_bytes(HASH_START, key, (size_t)ledger->choices);
    for (;; at++) {
        struct ledger_entry **entry = &ledger->entries[at & (uint64_t)(ledger->room - 1)];
        if (!*entry || memcmp((*entry)->key, key, (size_t)ledger->choices) == 0)
            return entry;
    }
}

static void make_key(const struct ledger *ledger, const struct subnetwork *sub,
                     unsigned char *key) {
    for (int i = 0; i < ledger->choices; i++)
        key[i] = (unsigned char)sub->option[i];
}

static enum status grow(struct ledger *ledger) {
    struct ledger wider = *ledger;
    wider.room = ledger->room ? 2 * ledger->room : 256;
    TRY(allocate(&wider.entries, (size_t)wider.room, sizeof *wider.entries,
                 "the sub-networks of the search"));
    for (int i = 0; i < ledger->room; i++)
        if (ledger->entries[i])
            *place(&wider, ledger->entries[i]->key) = ledger->entries[i];
    free(ledger->entries);
    *ledger = wider;
    return STATUS_OK;
}

struct ledger_entry *ledger_find(const struct ledger *ledger, const struct subnetwork *sub) {
    unsigned char key[MAX_CHOICES];
    make_key(ledger, sub, key);
    return ledger->room ? *place(ledger, key) : NULL;
}

enum status ledger_entry(struct ledger *ledger, const struct subnetwork *sub,
                         struct ledger_entry **entry) {
    if (2 * ledger->count >= ledger->room)
        TRY(grow(ledger));
    unsigned char key[MAX_CHOICES];
    make_key(ledger, sub, key);
    struct ledger_entry **found = place(ledger, key);
    if (!*found) {
        TRY(allocate(found, 1, sizeof **found + (size_t)ledger->choices,
                     "the sub-networks of the search"));
        for (int i = 0; i < MAX_BUDGETS; i++)
            (*found)->metrics[i] = NAN;
        (*found)->score = NAN;
        memcpy((*found)->key, key, (size_t)ledger->choices);
        ledger->count++;
    }
    *entry = *found;
    return STATUS_OK;
}
