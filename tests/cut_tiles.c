/* For tiles.sh: cuts one picture into a grid of square JPEG tiles that do not overlap.
 *
 *   cut_tiles PICTURE SIZE ROWS TRAIN_FOLDER TEST_FOLDER
 *
 * The picture is resized to ROWS rows of tiles; every fifth tile, a knight's move apart, is for the
 * test. The folders exist.
 */
#include "data/jpeg_write.h"
#include "data/picture_decoder.h"
#include "data/resample.h"
#include "support/file.h"
#include "support/memory.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct grid {
    int size, rows, columns;
    uint8_t *pixels; /* [rows * size][columns * size][3] */
};

static enum status write_tile(const struct grid *grid, int row, int column, const char *folder) {
    size_t stride = (size_t)grid->columns * (size_t)grid->size * 3;
    size_t line = (size_t)grid->size * 3, size;
    char path[PATH_MAX];
    uint8_t *file;
    struct raster tile = {grid->size, grid->size, 3, NULL};
    snprintf(path, sizeof path, "%s/%03d-%03d.jpg", folder, row, column);
    TRY(allocate(&tile.pixels, (size_t)grid->size, line, "a tile"));
    for (int y = 0; y < grid->size; y++)
        memcpy(tile.pixels + (size_t)y * line,
               grid->pixels + ((size_t)row * (size_t)grid->size + (size_t)y) * stride +
                   (size_t)column * line,
               line);
    enum status status = jpeg_encode(&tile, 90, path, &file, &size);
    free(tile.pixels);
    if (status != STATUS_OK)
        return status;
    FILE *out = fopen(path, "wb"); /* no sync for each of thousands */
    bool written = out != NULL && fwrite(file, size, 1, out) == 1;
    if (out != NULL && fclose(out) != 0)
        written = false;
    free(file);
    return written ? STATUS_OK : fail(STATUS_FAILED, "cannot write %s", path);
}

static enum status read_grid(struct picture_decoder *decoder, const char *path, struct grid *grid) {
    struct picture_size picture;
    struct picture_window window;
    struct resampler resampler = {0};
    char *data;
    size_t size;
    TRY(file_read(path, 1 << 28, &data, &size));
    enum status status = picture_open(decoder, path, (uint8_t *)data, size, &picture);
    if (status == STATUS_OK) {
        grid->columns = (int)((double)picture.width * grid->rows / picture.height);
        if (grid->columns < 1)
            status = fail(STATUS_USAGE, "%s is too narrow for a tile", path);
    }
    int height = grid->rows * grid->size, width = grid->columns * grid->size;
    if (status == STATUS_OK) {
        double used = (double)picture.height * grid->columns / grid->rows;
        const struct picture_box box = {0, 0, picture.height, used};
        status = picture_read(decoder, &box, height, width, 1, &window);
    }
    if (status == STATUS_OK && window.channels != 3)
        status = fail(STATUS_USAGE, "%s has no colours", path);
    if (status == STATUS_OK)
        status = allocate(&grid->pixels, (size_t)height * (size_t)width, 3, "the tiles");
    if (status == STATUS_OK)
        status = resample(&resampler, &window, height, width, false, grid->pixels);
    resampler_release(&resampler);
    free(data);
    return status;
}

int main(int argc, char **argv) {
    struct picture_decoder *decoder = NULL;
    struct grid grid = {0};
    if (argc == 6) {
        grid.size = atoi(argv[2]);
        grid.rows = atoi(argv[3]);
    }
    if (grid.size < 8 || grid.size > 1024 || grid.rows < 1 || grid.rows > 64) {
        fprintf(stderr, "usage: cut_tiles PICTURE SIZE ROWS TRAIN_FOLDER TEST_FOLDER\n");
        return STATUS_USAGE;
    }
    enum status status = picture_decoder_create(&decoder, PICTURE_MOST_PIXELS);
    if (status == STATUS_OK)
        status = read_grid(decoder, argv[1], &grid);
    for (int i = 0; status == STATUS_OK && i < grid.rows * grid.columns; i++) {
        int row = i / grid.columns, column = i % grid.columns;
        status = write_tile(&grid, row, column, argv[(row + 2 * column) % 5 == 0 ? 5 : 4]);
    }
    if (status != STATUS_OK)
        fprintf(stderr, "error: %s\n", failure());
    picture_decoder_release(decoder);
    free(grid.pixels);
    return status;
}
