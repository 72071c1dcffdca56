#include "support_jpeg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jpeglib.h>

enum { MOST_SCANS = 200 };

const struct jpeg_kind jpeg_kinds[JPEG_KINDS] = {
    {.channels = 1},
    {.channels = 1, .samples = {2, 2}},
    {.channels = 1, .progressive = true},
    {.channels = 1, .progressive = true, .restart = 1},
    {.channels = 3},
    {.channels = 3, .rgb = true},
    {.channels = 3, .samples = {2, 1}},
    {.channels = 3, .samples = {1, 2}},
    {.channels = 3, .samples = {2, 2}, .restart = 2},
    {.channels = 3, .samples = {4, 1}},
    {.channels = 3, .samples = {2, 2}, .apart = true},
    {.channels = 3, .samples = {2, 2}, .apart = true, .restart = 3},
    {.channels = 3, .samples = {2, 1}, .progressive = true},
    {.channels = 3, .samples = {2, 2}, .arithmetic = true},
    {.channels = 3, .samples = {2, 2}, .arithmetic = true, .progressive = true},
    {.channels = 4},
    {.channels = 4, .ycck = true},
    {.channels = 4, .ycck = true, .samples = {2, 2}, .progressive = true},
};

/* A scan for each channel. */
static void set_apart(struct jpeg_compress_struct *library, jpeg_scan_info *scans) {
    for (int i = 0; i < library->num_components; i++)
        scans[i] = (jpeg_scan_info){.comps_in_scan = 1, .component_index = {i}, .Se = DCTSIZE2 - 1};
    library->scan_info = scans;
    library->num_scans = library->num_components;
}

/* A progressive file of 127 scans: one for the means, two for each other coefficient. */
static void set_many(struct jpeg_compress_struct *library, jpeg_scan_info *scans) {
    int count = 0;
    scans[count++] = (jpeg_scan_info){.comps_in_scan = 1, .Al = 0};
    for (int band = 1; band < DCTSIZE2; band++)
        for (int bit = 1; bit >= 0; bit--)
            scans[count++] = (jpeg_scan_info){
                .comps_in_scan = 1, .Ss = band, .Se = band, .Ah = bit == 0, .Al = bit};
    library->scan_info = scans;
    library->num_scans = count;
}

static void set_up(struct jpeg_compress_struct *library, const struct jpeg_kind *kind,
                   jpeg_scan_info *scans) {
    static const J_COLOR_SPACE spaces[] = {[1] = JCS_GRAYSCALE, [3] = JCS_RGB, [4] = JCS_CMYK};
    library->input_components = kind->channels;
    library->in_color_space = spaces[kind->channels];
    jpeg_set_defaults(library);
    if (kind->ycck)
        jpeg_set_colorspace(library, JCS_YCCK);
    if (kind->rgb)
        jpeg_set_colorspace(library, JCS_RGB);
    jpeg_set_quality(library, 95, TRUE);
    library->comp_info[0].h_samp_factor = kind->samples[0] > 0 ? kind->samples[0] : 1;
    library->comp_info[0].v_samp_factor = kind->samples[1] > 0 ? kind->samples[1] : 1;
    library->restart_interval = (unsigned)kind->restart;
    library->arith_code = kind->arithmetic;
    if (kind->apart)
        set_apart(library, scans);
    if (kind->many_scans)
        set_many(library, scans);
    if (kind->progressive)
        jpeg_simple_progression(library);
}

uint8_t *jpeg_of(const struct jpeg_kind *kind, const uint8_t *pixels, int height, int width,
                 size_t *size) {
    static jpeg_scan_info scans[MOST_SCANS];
    struct jpeg_error_mgr errors; /* an error ends the program: that is a mistake of the test */
    struct jpeg_compress_struct library = {.err = jpeg_std_error(&errors)};
    unsigned char *file = NULL;
    unsigned long bytes = 0;
    jpeg_create_compress(&library);
    jpeg_mem_dest(&library, &file, &bytes);
    library.image_height = (JDIMENSION)height;
    library.image_width = (JDIMENSION)width;
    set_up(&library, kind, scans);
    jpeg_start_compress(&library, TRUE);
    for (int y = 0; y < height; y++) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + (size_t)y * width * kind->channels);
        jpeg_write_scanlines(&library, &row, 1);
    }
    jpeg_finish_compress(&library);
    jpeg_destroy_compress(&library);
    *size = bytes;
    return file;
}
