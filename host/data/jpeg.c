#include "data/jpeg.h"
#include "data/resample.h"
#include "support/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

enum {
    MOST_SCANS = 100,      /* usual progressive files have ten; each costs a pass over all pixels */
    PIXELS_OF_A_BYTE = 512 /* 8 blocks of 64: each takes a bit at least, unless coded
                              arithmetically */
};

struct region { /* of the shrunk picture */
    unsigned top, left, height, width;
};

struct jpeg_decoder {
    struct jpeg_decompress_struct library;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    const char *name;
    const uint8_t *data; /* the file */
    size_t size;
    char reason[JMSG_LENGTH_MAX], warning[JMSG_LENGTH_MAX];
    struct picture_box box; /* in pixels of the shrunk picture */
    int out_height, out_width;
    struct region region;
    uint8_t *pixels;
    size_t room; /* of pixels */
};

/* ------------------------------------------------------------- the library's errors and warnings
 */

static void give_up(j_common_ptr library) {
    struct jpeg_decoder *decoder = library->client_data;
    longjmp(decoder->failed, 1);
}

static void on_error(j_common_ptr library) {
    struct jpeg_decoder *decoder = library->client_data;
    library->err->format_message(library, decoder->reason);
    if (library->err->msg_code == JERR_NO_BACKING_STORE)
        snprintf(decoder->reason, sizeof decoder->reason, "its coefficients take more than %ld MB",
                 library->mem->max_memory_to_use >> 20);
    give_up(library);
}

/* Level -1 is a warning. At the end of the data the library would make up the rest of the picture:
 * that is an error, as it is for Pillow. */
static void on_message(j_common_ptr library, int level) {
    struct jpeg_decoder *decoder = library->client_data;
    if (level >= 0)
        return;
    if (library->err->msg_code == JWRN_JPEG_EOF)
        on_error(library);
    if (library->err->num_warnings++ == 0)
        library->err->format_message(library, decoder->warning);
}

static void on_progress(j_common_ptr library) {
    struct jpeg_decoder *decoder = library->client_data;
    if (decoder->library.input_scan_number <= MOST_SCANS)
        return;
    snprintf(decoder->reason, sizeof decoder->reason, "it has more than %d scans", MOST_SCANS);
    give_up(library);
}

/* Runs a part of the work; whatever the library finds wrong in it ends here. */
static enum status attempt(struct jpeg_decoder *decoder, void (*work)(struct jpeg_decoder *)) {
    if (setjmp(decoder->failed) == 0) {
        work(decoder);
        return STATUS_OK;
    }
    jpeg_abort_decompress(&decoder->library);
    if (decoder->errors.msg_code == JERR_OUT_OF_MEMORY)
        return fail(STATUS_FAILED, "no memory to decode %s", decoder->name);
    return fail(STATUS_USAGE, "%s is truncated or damaged: %s", decoder->name, decoder->reason);
}

/* Keeps `err` and `client_data`. */
static void create(struct jpeg_decoder *decoder) {
    jpeg_create_decompress(&decoder->library);
    decoder->library.progress = &decoder->progress;
}

enum status jpeg_decoder_create(struct jpeg_decoder **made) {
    struct jpeg_decoder *decoder;
    TRY(allocate(made, 1, sizeof **made, "a JPEG decoder"));
    decoder = *made;
    decoder->name = "a picture";
    decoder->library.err = jpeg_std_error(&decoder->errors);
    decoder->library.client_data = decoder;
    decoder->errors.error_exit = on_error;
    decoder->errors.emit_message = on_message;
    decoder->progress.progress_monitor = on_progress;
    enum status status = attempt(decoder, create);
    if (status != STATUS_OK) {
        jpeg_decoder_release(decoder);
        *made = NULL;
    }
    return status;
}

void jpeg_decoder_release(struct jpeg_decoder *decoder) {
    if (decoder == NULL)
        return;
    jpeg_destroy_decompress(&decoder->library);
    free(decoder->pixels);
    free(decoder);
}

const char *jpeg_warning(const struct jpeg_decoder *decoder) {
    return decoder->warning;
}

/* ---------------------------------------------------------------------------------- the header */

bool jpeg_is(const uint8_t *data, size_t size) {
    return size >= 3 && data[0] == 0xff && data[1] == 0xd8 && data[2] == 0xff;
}

/* A new library object for each picture: in an old one, a picture that lacks tables would take
 * those of the last one. */
static void read_header(struct jpeg_decoder *decoder) {
    jpeg_destroy_decompress(&decoder->library);
    create(decoder);
    jpeg_mem_src(&decoder->library, decoder->data, decoder->size);
    jpeg_read_header(&decoder->library, TRUE);
}

/* Whether an end-of-image marker lies behind the start of the first scan: pixels never look like
 * one, and a thumbnail with its own comes earlier. */
static bool has_end(const struct jpeg_decoder *decoder) {
    size_t behind = decoder->library.src->bytes_in_buffer;
    const uint8_t *start = decoder->data + (decoder->size - behind), *end = start + behind;
    while ((end = memrchr(start, JPEG_EOI, (size_t)(end - start))) != NULL)
        if (end > start && end[-1] == 0xff)
            return true;
    return false;
}

static enum status check_header(const struct jpeg_decoder *decoder, size_t most_pixels) {
    const struct jpeg_decompress_struct *library = &decoder->library;
    unsigned height = library->image_height, width = library->image_width;
    size_t pixels = (size_t)height * width;
    if (pixels > most_pixels)
        return fail(STATUS_USAGE, "%s announces %u x %u pixels; at most %zu are read",
                    decoder->name, width, height, most_pixels);
    if (!library->arith_code && pixels / PIXELS_OF_A_BYTE > decoder->size)
        return fail(STATUS_USAGE, "%s announces %u x %u pixels, more than its %zu bytes can hold",
                    decoder->name, width, height, decoder->size);
    if (library->num_components == 2 || library->num_components > 4)
        return fail(STATUS_USAGE, "%s has %d channels; JPEG files of 1, 3 and 4 are read",
                    decoder->name, library->num_components);
    if (!has_end(decoder))
        return fail(STATUS_USAGE, "%s is truncated: its end-of-image marker is missing",
                    decoder->name);
    return STATUS_OK;
}

enum status jpeg_open(struct jpeg_decoder *decoder, const char *name, const uint8_t *data,
                      size_t size, size_t most_pixels, struct picture_size *picture) {
    decoder->name = name;
    decoder->data = data;
    decoder->size = size;
    decoder->warning[0] = '\0';
    TRY(attempt(decoder, read_header));
    TRY(check_header(decoder, most_pixels));
    /* what a progressive picture of four full channels takes, and 16 MB for odd shapes */
    decoder->library.mem->max_memory_to_use = (long)(8 * most_pixels + (16 << 20));
    *picture = (struct picture_size){.height = (int)decoder->library.image_height,
                                     .width = (int)decoder->library.image_width,
                                     .channels = decoder->library.num_components};
    return STATUS_OK;
}

/* ---------------------------------------------------------------------------------- the pixels */

/* The pixels that out ones are made of, and two more: where a row is cut, the library lacks the
 * neighbour that it smooths colours with. */
static void range_of(double first, double length, int out, unsigned most, unsigned *start,
                     unsigned *count) {
    double reach = resample_reach(length, out) + 2;
    unsigned end = (unsigned)fmin(most, ceil(first + length + reach));
    *start = (unsigned)fmax(0, floor(first - reach));
    *count = end - *start;
}

static void start(struct jpeg_decoder *decoder) {
    struct jpeg_decompress_struct *library = &decoder->library;
    struct region *region = &decoder->region;
    const struct picture_box *box = &decoder->box;
    library->out_color_space = library->num_components == 4 ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(library);
    range_of(box->top, box->height, decoder->out_height, library->output_height, &region->top,
             &region->height);
    range_of(box->left, box->width, decoder->out_width, library->output_width, &region->left,
             &region->width);
    if (region->width < library->output_width) /* widens it to the left, to whole blocks */
        jpeg_crop_scanline(library, &region->left, &region->width);
    if (region->top > 0)
        jpeg_skip_scanlines(library, region->top);
}

/* value * share / 255, rounded */
static int share_of(int value, int share) {
    int product = value * share + 128;
    return (product + (product >> 8)) >> 8;
}

/* In files, 255 is no ink (Adobe's way, which all follow). */
static void make_rgb(uint8_t *row, unsigned width) {
    uint8_t *rgb = row;
    for (const uint8_t *cmyk = row; width > 0; width--, cmyk += 4, rgb += 3) {
        int light = cmyk[3];
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)(light - share_of(255 - cmyk[c], light));
    }
}

static void read_rows(struct jpeg_decoder *decoder) {
    struct jpeg_decompress_struct *library = &decoder->library;
    const struct region *region = &decoder->region;
    size_t stride = (size_t)region->width * (size_t)library->out_color_components;
    for (unsigned y = 0; y < region->height; y++) {
        JSAMPROW row = decoder->pixels + y * stride;
        jpeg_read_scanlines(library, &row, 1);
        if (library->out_color_space == JCS_CMYK)
            make_rgb(row, region->width);
    }
    jpeg_abort_decompress(library); /* the rows below are not wanted */
}

static enum status make_room(struct jpeg_decoder *decoder, size_t bytes) {
    if (bytes <= decoder->room)
        return STATUS_OK;
    free(decoder->pixels);
    decoder->room = 0;
    TRY(allocate(&decoder->pixels, bytes, 1, decoder->name));
    decoder->room = bytes;
    return STATUS_OK;
}

/* Shrinking averages blocks, resampling weighs with a triangle: where nearly nothing is left to
 * resample, fine texture differs by four grey levels from a picture that was decoded whole; with a
 * quarter more pixels than needed by less than two (tests/check_photographs.py). */
static const double margin = 1.25;

static unsigned choose_shrink(const struct picture_box *box, int height, int width, int most) {
    unsigned shrink = 8;
    while (shrink > 1 && ((int)shrink > most || box->height < height * margin * shrink ||
                          box->width < width * margin * shrink))
        shrink /= 2;
    return shrink;
}

enum status jpeg_read(struct jpeg_decoder *decoder, const struct picture_box *box, int height,
                      int width, int shrink, struct picture_window *window) {
    struct jpeg_decompress_struct *library = &decoder->library;
    const struct region *region = &decoder->region;
    unsigned by = choose_shrink(box, height, width, shrink);
    library->scale_num = 1;
    library->scale_denom = by;
    decoder->box =
        (struct picture_box){box->top / by, box->left / by, box->height / by, box->width / by};
    decoder->out_height = height;
    decoder->out_width = width;
    TRY(attempt(decoder, start));
    size_t stride = (size_t)region->width * (size_t)library->out_color_components;
    TRY(make_room(decoder, region->height * stride));
    TRY(attempt(decoder, read_rows));
    *window = (struct picture_window){.pixels = decoder->pixels,
                                      .stride = stride,
                                      .height = (int)region->height,
                                      .width = (int)region->width,
                                      .channels = 3,
                                      .box = decoder->box};
    window->box.top -= region->top;
    window->box.left -= region->left;
    return STATUS_OK;
}
