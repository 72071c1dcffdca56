/* The files that a pattern of shards means: train-*.tar, train-{000..146}.tar. */
#ifndef TAPER_SHARD_NAMES_H
#define TAPER_SHARD_NAMES_H

#include "support/status.h"

enum { MOST_SHARDS = 100000 };

struct shard_names {
    int count;
    char **paths; /* [count], sorted byte by byte; owned */
};

/* {A..B} counts from A to B, with the digits of A; * ? [ are the shell's, and must match a file. */
enum status shard_names_find(struct shard_names *names, const char *pattern);
void shard_names_release(struct shard_names *names);

#endif
