#include "data/encoded_feed.h"
#include "data/picture_decoder.h"
#include "support/memory.h"
#include "support/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 64 }; /* for one place in a batch */

/* What one thread reads and decodes with. */
struct hand {
    struct picture_bytes bytes;
    struct picture_decoder *decoder;
};

static void put_down(void *work) {
    struct hand *hand = work;
    if (hand == NULL)
        return;
    picture_decoder_release(hand->decoder);
    picture_bytes_release(&hand->bytes);
    free(hand);
}

static enum status take_up(const void *source, void **work) {
    (void)source;
    struct hand *hand;
    TRY(allocate(&hand, 1, sizeof *hand, "a thread that decodes pictures"));
    enum status status = picture_decoder_create(&hand->decoder, PICTURE_MOST_PIXELS);
    if (status == STATUS_OK)
        *work = hand;
    else
        put_down(hand);
    return status;
}

static enum status make_one(const struct encoded_pictures *from, struct hand *hand, int picture,
                            const struct picture_key *key, uint8_t *out) {
    char name[PICTURE_NAME];
    TRY(picture_source_read(from->source, picture, &hand->bytes));
    return picture_make(hand->decoder, &from->recipe, key,
                        picture_source_name(from->source, picture, name), hand->bytes.data,
                        hand->bytes.size, out);
}

static enum status make_training_picture(const void *source, void *work,
                                         const struct picture_view *view, uint8_t *out,
                                         int *label) {
    const struct encoded_pictures *from = source;
    int picture = view->image;
    struct random_sequence others =
        random_sequence(view->seed, RANDOM_STAND_IN, view->epoch, (uint32_t)view->image);
    for (int i = 0; i < TRIES; i++) {
        const struct picture_key key = {view->seed, view->epoch, (uint32_t)picture};
        enum status status = make_one(from, work, picture, &key, out);
        *label = picture_source_label(from->source, picture);
        if (status != STATUS_USAGE) /* made, or not the picture's fault */
            return status;
        TRY(bad_pictures_add(from->bad));
        picture = from->stand_ins[random_below(&others, (uint32_t)from->stand_in_count)];
    }
    return fail(STATUS_USAGE, "%d pictures drawn one after the other are all bad", TRIES);
}

static size_t picture_bytes_of(const struct picture_recipe *recipe) {
    return (size_t)recipe->height * (size_t)recipe->width * (size_t)recipe->channels;
}

struct picture_feed encoded_feed(const struct encoded_pictures *from) {
    return (struct picture_feed){.picture_bytes = picture_bytes_of(&from->recipe),
                                 .source = from,
                                 .begin = take_up,
                                 .end = put_down,
                                 .make = make_training_picture};
}

/* Of one thread of a pool. */
struct decoding_thread {
    void *hand;
    enum status status;
    char sentence[512];
};

struct decoding {
    const struct encoded_pictures *from;
    const int *numbers;
    struct pictures *pictures;
    struct decoding_thread *threads;
    bool *decoded; /* [count] */
};

static void decode_piece(void *context, int piece, int worker) {
    const struct decoding *decoding = context;
    struct decoding_thread *thread = &decoding->threads[worker];
    const struct encoded_pictures *from = decoding->from;
    int picture = decoding->numbers[piece];
    if (thread->status != STATUS_OK)
        return;
    enum status status =
        make_one(from, thread->hand, picture, NULL,
                 decoding->pictures->pixels + (size_t)piece * picture_bytes_of(&from->recipe));
    decoding->decoded[piece] = status == STATUS_OK;
    decoding->pictures->labels[piece] = (uint16_t)picture_source_label(from->source, picture);
    if (status == STATUS_USAGE)
        status = bad_pictures_add(from->bad);
    if (status == STATUS_OK)
        return;
    thread->status = status;
    snprintf(thread->sentence, sizeof thread->sentence, "%s", failure());
    failure_clear(); /* the threads of a pool live on */
}

static enum status prepare(struct decoding *decoding, int count, int threads) {
    const struct picture_recipe *recipe = &decoding->from->recipe;
    struct pictures *pictures = decoding->pictures;
    *pictures = (struct pictures){.height = recipe->height,
                                  .width = recipe->width,
                                  .channels = recipe->channels,
                                  .classes = picture_source_classes(decoding->from->source)};
    TRY(allocate(&pictures->pixels, (size_t)count, picture_bytes_of(recipe), "decoded pictures"));
    TRY(allocate(&pictures->labels, (size_t)count, sizeof *pictures->labels, "decoded pictures"));
    TRY(allocate(&decoding->decoded, (size_t)count, sizeof *decoding->decoded, "decoded pictures"));
    TRY(allocate(&decoding->threads, (size_t)threads, sizeof *decoding->threads, "the threads"));
    for (int i = 0; i < threads; i++)
        TRY(take_up(NULL, &decoding->threads[i].hand));
    return STATUS_OK;
}

/* Moves the decoded pictures together. */
static void close_gaps(const struct decoding *decoding, int count) {
    struct pictures *pictures = decoding->pictures;
    size_t bytes = picture_bytes_of(&decoding->from->recipe);
    for (int i = 0; i < count; i++) {
        if (!decoding->decoded[i])
            continue;
        if (pictures->count < i) {
            memcpy(pictures->pixels + (size_t)pictures->count * bytes,
                   pictures->pixels + (size_t)i * bytes, bytes);
            pictures->labels[pictures->count] = pictures->labels[i];
        }
        pictures->count++;
    }
}

enum status encoded_decode(struct pictures *pictures, const struct encoded_pictures *from,
                           const int *numbers, int count, struct pool *pool) {
    int threads = pool == NULL ? 1 : pool_threads(pool);
    struct decoding decoding = {.from = from, .numbers = numbers, .pictures = pictures};
    enum status status;
    TRY_CLEANUP(prepare(&decoding, count, threads));
    pool_run(pool, count, decode_piece, &decoding);
    for (int i = 0; i < threads; i++)
        if (decoding.threads[i].status != STATUS_OK)
            TRY_CLEANUP(fail(decoding.threads[i].status, "%s", decoding.threads[i].sentence));
    close_gaps(&decoding, count);
    if (pictures->count == 0)
        status = fail(STATUS_USAGE, "all of the %d pictures to evaluate with are bad", count);
done:
    for (int i = 0; i < threads && decoding.threads != NULL; i++)
        put_down(decoding.threads[i].hand);
    free(decoding.threads);
    free(decoding.decoded);
    if (status != STATUS_OK)
        pictures_release(pictures);
    return status;
}
