#include "data/jpeg_write.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

struct writer {
    struct jpeg_compress_struct library;
    struct jpeg_error_mgr errors;
    jmp_buf failed;
    char reason[JMSG_LENGTH_MAX];
    uint8_t *file;
    unsigned long size;
};

static void on_error(j_common_ptr library) {
    struct writer *writer = library->client_data;
    library->err->format_message(library, writer->reason);
    longjmp(writer->failed, 1);
}

static void compress(struct writer *writer, const struct raster *raster, int quality) {
    j_compress_ptr library = &writer->library;
    size_t stride = (size_t)raster->width * (size_t)raster->channels;
    jpeg_create_compress(library);
    jpeg_mem_dest(library, &writer->file, &writer->size);
    library->image_height = (JDIMENSION)raster->height;
    library->image_width = (JDIMENSION)raster->width;
    library->input_components = raster->channels;
    library->in_color_space = raster->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(library);
    jpeg_set_quality(library, quality, TRUE);
    jpeg_start_compress(library, TRUE);
    while (library->next_scanline < library->image_height) {
        JSAMPROW row = raster->pixels + library->next_scanline * stride;
        jpeg_write_scanlines(library, &row, 1);
    }
    jpeg_finish_compress(library);
}

enum status jpeg_encode(const struct raster *raster, int quality, const char *name, uint8_t **file,
                        size_t *size) {
    struct writer writer = {0};
    volatile bool failed = false;
    writer.library.err = jpeg_std_error(&writer.errors);
    writer.library.client_data = &writer;
    writer.errors.error_exit = on_error;
    if (setjmp(writer.failed) == 0)
        compress(&writer, raster, quality);
    else
        failed = true;
    jpeg_destroy_compress(&writer.library);
    if (failed) {
        free(writer.file);
        return fail(STATUS_FAILED, "%s cannot be written as JPEG: %s", name, writer.reason);
    }
    *file = writer.file;
    *size = writer.size;
    return STATUS_OK;
}
