#include "data/pack_write.h"
#include "data/class_list.h"
#include "data/pack_finish.h"
#include "data/whole_picture.h"
#include "support/file.h"
#include "support/interrupt.h"
#include "support/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Pictures that are in memory at the same time, and those that a kill can undo. */
enum { CHUNK = 64, CHUNKS_PER_SAVE = 16 };

struct packed_picture {
    struct picture_bytes read, shrunk;
    bool is_shrunk;
    enum status status;
    char *failure; /* of a status that is not STATUS_OK */
};

struct packing {
    const struct picture_source *source;
    const struct pack_options *options;
    struct pack_journal journal;
    int first; /* of the chunk */
    struct packed_picture pictures[CHUNK];
    struct picture_decoder **decoders; /* of the pool's threads */
};

static enum status prepare(const struct packing *packing, int picture,
                           struct picture_decoder *decoder, struct packed_picture *packed) {
    char name[PICTURE_NAME];
    packed->is_shrunk = false;
    TRY(picture_source_read(packing->source, picture, &packed->read));
    if (packing->options->short_side == 0)
        return STATUS_OK;
    return picture_shrink(decoder, packed->read.data, packed->read.size,
                          picture_source_name(packing->source, picture, name),
                          packing->options->short_side, &packed->shrunk, &packed->is_shrunk);
}

static void prepare_piece(void *context, int piece, int worker) {
    struct packing *packing = context;
    struct packed_picture *packed = &packing->pictures[piece];
    packed->status = prepare(packing, packing->first + piece, packing->decoders[worker], packed);
    if (packed->status != STATUS_OK) {
        packed->failure = strdup(failure());
        failure_clear();
    }
}

static enum status add_picture(struct packing *packing, int picture,
                               struct packed_picture *packed) {
    const struct picture_bytes *bytes = packed->is_shrunk ? &packed->shrunk : &packed->read;
    int label = picture_source_label(packing->source, picture);
    if (packed->status == STATUS_OK)
        return pack_journal_add(&packing->journal, bytes->data, (uint32_t)bytes->size, label);
    fail(packed->status, "%s", packed->failure != NULL ? packed->failure : "no memory");
    free(packed->failure);
    packed->failure = NULL;
    if (packed->status == STATUS_FAILED)
        return STATUS_FAILED; /* the machine's fault, not the picture's */
    TRY(bad_pictures_add(packing->options->bad));
    return pack_journal_add(&packing->journal, "", 0, label);
}

static enum status pack_chunk(struct packing *packing) {
    int left = packing->journal.room - packing->journal.count, count = left < CHUNK ? left : CHUNK;
    packing->first = packing->journal.count;
    pool_run(packing->options->pool, count, prepare_piece, packing);
    for (int i = 0; i < count; i++)
        TRY(add_picture(packing, packing->first + i, &packing->pictures[i]));
    return STATUS_OK;
}

static enum status pack_pictures(struct packing *packing) {
    const struct pack_options *options = packing->options;
    struct pack_journal *journal = &packing->journal;
    for (int chunk = 1; journal->count < journal->room; chunk++) {
        if (interrupt_requested())
            return fail(STATUS_INTERRUPTED,
                        "%d of %d pictures are packed; the same command goes on", journal->count,
                        journal->room);
        TRY(pack_chunk(packing));
        if (chunk % CHUNKS_PER_SAVE == 0)
            TRY(pack_journal_save(journal));
        if (options->progress != NULL)
            options->progress(options->context, journal->count, journal->room);
    }
    return STATUS_OK;
}

/* What was left out before counts again. */
static enum status count_left_out(const struct packing *packing) {
    char name[PICTURE_NAME];
    for (int i = 0; i < packing->journal.count; i++) {
        if (packing->journal.entries[i].size > 0)
            continue;
        fail(STATUS_USAGE, "%s could not be read, and was left out",
             picture_source_name(packing->source, i, name));
        TRY(bad_pictures_add(packing->options->bad));
    }
    return STATUS_OK;
}

/* Equal for equal classes, names, labels and sizes. */
static uint64_t origin_of(const struct picture_source *source, int short_side) {
    char name[PICTURE_NAME];
    const struct class_list *classes = picture_source_class_list(source);
    uint64_t hash = hash_bytes(HASH_START, &short_side, sizeof short_side);
    for (int label = 0; classes != NULL && label < classes->count; label++) {
        hash = hash_bytes(hash, classes->folders[label], strlen(classes->folders[label]) + 1);
        hash = hash_bytes(hash, classes->titles[label], strlen(classes->titles[label]) + 1);
    }
    for (int i = 0; i < picture_source_count(source); i++) {
        int label = picture_source_label(source, i);
        picture_source_name(source, i, name);
        hash = hash_bytes(hash, name, strlen(name) + 1);
        hash = hash_bytes(hash, &label, sizeof label);
    }
    return hash;
}

/* A finished pack of the same origin; another file there is an error. */
static enum status find_finished(const char *path, uint64_t origin, struct pack_result *result) {
    struct pack_header header;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 && errno == ENOENT)
        return STATUS_OK;
    if (file < 0)
        return fail(STATUS_USAGE, "cannot open %s: %s", path, strerror(errno));
    enum status status = pack_read_header(file, path, &header);
    close(file);
    if (status != STATUS_OK || header.origin != origin) {
        failure_clear();
        return fail(STATUS_USAGE,
                    "%s is there and is no pack of these pictures: remove it, or choose another "
                    "name",
                    path);
    }
    *result = (struct pack_result){.pictures = (int)header.count,
                                   .found_done = (int)header.count,
                                   .bytes = header.size,
                                   .was_there = true};
    return STATUS_OK;
}

static int threads_of(const struct packing *packing) {
    return packing->options->pool != NULL ? pool_threads(packing->options->pool) : 1;
}

static enum status create_decoders(struct packing *packing) {
    int threads = threads_of(packing);
    TRY(allocate(&packing->decoders, (size_t)threads, sizeof(void *), "the threads"));
    for (int i = 0; i < threads; i++)
        TRY(picture_decoder_create(&packing->decoders[i], PICTURE_MOST_PIXELS));
    return STATUS_OK;
}

static void release(struct packing *packing) {
    for (int i = 0; i < threads_of(packing) && packing->decoders != NULL; i++)
        picture_decoder_release(packing->decoders[i]);
    free(packing->decoders);
    for (int i = 0; i < CHUNK; i++) {
        picture_bytes_release(&packing->pictures[i].read);
        picture_bytes_release(&packing->pictures[i].shrunk);
        free(packing->pictures[i].failure);
    }
    free(packing);
}

static enum status pack_all(struct packing *packing, uint64_t origin, struct pack_result *result) {
    const struct pack_options *options = packing->options;
    int pictures = picture_source_count(packing->source);
    TRY(pack_journal_open(&packing->journal, options->path, origin, pictures));
    result->found_done = packing->journal.count;
    TRY(count_left_out(packing));
    TRY(create_decoders(packing));
    enum status status = pack_pictures(packing);
    if (status != STATUS_FAILED) { /* else what is there by the last time is all that is sure */
        enum status saved = pack_journal_save(&packing->journal);
        status = status != STATUS_OK ? status : saved;
    }
    TRY(status);
    return pack_finish(&packing->journal, packing->source, options->path, result);
}

enum status pack_write(const struct picture_source *source, const struct pack_options *options,
                       struct pack_result *result) {
    uint64_t origin = origin_of(source, options->short_side);
    struct packing *packing;
    *result = (struct pack_result){0};
    TRY(find_finished(options->path, origin, result));
    if (result->was_there)
        return STATUS_OK;
    TRY(bad_pictures_join(options->bad, picture_source_faults(source)));
    TRY(allocate(&packing, 1, sizeof *packing, "pictures to pack"));
    packing->source = source;
    packing->options = options;
    enum status status = pack_all(packing, origin, result);
    pack_journal_close(&packing->journal, status != STATUS_OK);
    release(packing);
    return status;
}
