#include "support_sources.h"
#include "data/pack_write.h"
#include "data/png.h"
#include "support/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[PATH_MAX / 2];

const int set_labels[SET_PICTURES] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1,
                                      1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2};
static const char *const classes[SET_CLASSES] = {"ant", "bee", "wild cat"};

const char *sources_path(const char *name) {
    static char paths[8][PATH_MAX];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

void sources_run(const char *command) {
    char line[2 * PATH_MAX];
    snprintf(line, sizeof line, "cd '%s' && { %s; } 2>messages.txt", folder, command);
    if (system(line) != 0)
        fail_msg("'%s' fails", command);
}

const char *sources_folder(const char *name) {
    snprintf(folder, sizeof folder, "%s/files-of-%s", TAPER_BINARY_DIR, name);
    mkdir(folder, 0777);
    sources_run("find . -mindepth 1 -delete");
    failure_clear();
    return folder;
}

void sources_write(const char *name, const void *data, size_t size) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", sources_path(name));
    *strrchr(path, '/') = '\0';
    assert_int_equal(folder_make(path), STATUS_OK);
    FILE *file = fopen(sources_path(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Its size depends on its number: no two files are equally long. */
static void write_picture(const char *name, int number) {
    uint8_t pixels[64 * 3], *file;
    size_t size;
    struct raster raster = {.height = 1, .width = 2 + number, .channels = 3, .pixels = pixels};
    for (int i = 0; i < (int)sizeof pixels; i++)
        pixels[i] = (uint8_t)(number + i * i * 37);
    assert_int_equal(png_encode(&raster, &file, &size), STATUS_OK);
    sources_write(name, file, size);
    free(file);
}

/* Folder and shards hold them in the same order: by class, and by a name whose bytes rise. A class
 * has upper and lower case, and a folder within. */
static void write_labelled(const char *part, const char *shard, int number, int first, int label) {
    static const char *const names[] = {"A%02d.PNG", "b%02d.png", "deep/x%02d.png"};
    char name[PATH_MAX], within[64], text[16];
    snprintf(within, sizeof within, names[(number - first) / 4], number);
    snprintf(name, sizeof name, "folder/%s/%s/%s", part, classes[label], within);
    write_picture(name, number);
    snprintf(name, sizeof name, "%s/p%04d.png", shard, number);
    write_picture(name, number);
    snprintf(name, sizeof name, "%s/p%04d.cls", shard, number);
    snprintf(text, sizeof text, "%d\n", label);
    sources_write(name, text, strlen(text));
}

void sources_make_set(void) {
    static const int first_of[SET_CLASSES] = {0, 10, 18};
    for (int i = 0; i < SET_PICTURES; i++)
        write_labelled("train", i < 15 ? "0" : "1", i, first_of[set_labels[i]], set_labels[i]);
    for (int i = 0; i < SET_TEST_PICTURES; i++)
        write_labelled("val", "2", i, 0, i < 2 ? 0 : 2);
    sources_write("folder/train/notes.txt", "no class", 8);
    sources_write("folder/train/bee/notes.txt", "no picture", 10);
    sources_write("folder/train/bee/.hidden.png", "no picture", 10);
    sources_write("shards/read me", "", 0);
    sources_write("packs/read me", "", 0);
    sources_run("tar --sort=name -cf shards/train-0.tar -C 0 . && "
                "tar --sort=name -cf shards/train-1.tar -C 1 . && "
                "tar --sort=name -cf shards/val-0.tar -C 2 .");
}

struct data_config sources_config(const char *source) {
    struct data_config config = {0};
    snprintf(config.source, sizeof config.source, "%s", source);
    snprintf(config.folder, sizeof config.folder, "%.400s/%.20s%s", folder, source,
             strcmp(source, "pack") == 0 ? "s" : "");
    return config;
}

struct picture_source *sources_open(const char *source, enum data_part part) {
    struct data_config config = sources_config(source);
    struct picture_source *opened;
    if (picture_source_open(&opened, &config, part, NULL) != STATUS_OK)
        fail_msg("%s", failure());
    assert_int_equal(picture_source_faults(opened)->count, 0);
    return opened;
}

void sources_pack(const char *source, enum data_part part, const char *path) {
    struct picture_source *from = sources_open(source, part);
    struct bad_pictures *bad;
    struct pack_result result;
    assert_int_equal(bad_pictures_create(&bad, 0), STATUS_OK);
    const struct pack_options options = {.path = path, .bad = bad};
    if (pack_write(from, &options, &result) != STATUS_OK)
        fail_msg("%s", failure());
    assert_int_equal(result.pictures, picture_source_count(from));
    bad_pictures_release(bad);
    picture_source_close(from);
}

int sources_number(const struct picture_bytes *bytes) {
    struct raster raster;
    assert_int_equal(png_decode(&raster, "a picture", bytes->data, bytes->size), STATUS_OK);
    int number = raster.pixels[0];
    assert_int_equal(raster.width, 2 + number);
    free(raster.pixels);
    return number;
}

void assert_sentence(const char *words) {
    if (strstr(failure(), words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", failure(), words);
    failure_clear();
}
