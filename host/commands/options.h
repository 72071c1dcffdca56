/* What most commands take: a configuration, settings over it, and where and how to run. */
#ifndef TAPER_OPTIONS_H
#define TAPER_OPTIONS_H

#include "config/config.h"

#include <argp.h>

enum { MAX_SETTINGS = 256, SETTING_SIZE = 1024 };

enum options_kind {
    OPTIONS_PLAIN,
    OPTIONS_RANKS,    /* and --ranks N */
    OPTIONS_SUPERNET, /* those, and --supernet FILE */
    OPTIONS_POINT,    /* --ranks N, and --point N or --sample N */
    OPTIONS_EXPORT,   /* --point N or --sample N, --format FORMAT and --keep-norms */
    OPTIONS_EVALUATE, /* --point N or --sample N, and --predictions FILE */
    OPTIONS_PREDICT,  /* a run folder, pictures, --point N or --sample N, and --json */
    OPTIONS_LATENCY,  /* the common ones, --point N or --sample N, and --json */
    OPTIONS_DATA,     /* of the common ones --set and --threads; and --part PART */
    OPTIONS_PACK      /* the same, --out FILE and --short-side N */
};

struct options {
    enum options_kind kind;
    const char *config; /* a YAML file, or a run folder: its config.yaml */
    const char *supernet;
    const char *format;      /* of an export; NULL: all */
    const char *predictions; /* file to write, or NULL */
    bool keep_norms;         /* in an ONNX file */
    bool json;
    bool one_part; /* of the data, `part` */
    enum data_part part;
    int short_side;   /* of packed pictures; 0: as they are */
    const char *file; /* a pack to write, or NULL */
    int point;        /* of the trade-off curve, */
    int sample;       /* or of search.jsonl; both -1: the network found */
    int picture_count;
    char **pictures; /* arguments behind the first */
    int ranks;       /* 0: not given */
    int setting_count;
    const char *settings[MAX_SETTINGS];
    char threads[64], device[64], out[SETTING_SIZE];
};

/* Parses `taper NAME`'s arguments; --help prints `summary` and ends the process. */
enum status options_parse(struct options *options, enum options_kind kind, const char *summary,
                          int argc, char **argv);

enum status options_read_config(const struct options *options, struct config *config);

#endif
