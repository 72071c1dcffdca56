#include "data/folder_walk.h"
#include "support/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_DEPTH = 32, MOST_ABOVE = 64 };

struct walk {
    struct source_part *part;
    const char *folder, *name;
    int label, depth, outside;
    struct {
        dev_t device;
        ino_t number;
    } above[MOST_ABOVE + MOST_DEPTH]; /* the folders that the walk is in: `outside` of them hold
                                         the class, `depth` are its own */
    char path[PATH_MAX];              /* below FOLDER/NAME */
};

static enum status cannot_read(const struct walk *walk) {
    return fail(STATUS_USAGE, "cannot read folder %s/%s%s%s: %s", walk->folder, walk->name,
                walk->path[0] != '\0' ? "/" : "", walk->path, strerror(errno));
}

/* DT_REG also for what leads nowhere: reading it says why. Only links, and file systems that do
 * not tell, cost a question. */
static int kind_of(int folder, const struct dirent *entry) {
    struct stat facts;
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
        return entry->d_type;
    if (fstatat(folder, entry->d_name, &facts, 0) != 0 || S_ISREG(facts.st_mode))
        return DT_REG;
    return S_ISDIR(facts.st_mode) ? DT_DIR : DT_UNKNOWN;
}

/* Whether the open folder is none of those above it. */
static bool enter(struct walk *walk, int folder) {
    struct stat facts;
    int above = walk->outside + walk->depth;
    if (fstat(folder, &facts) != 0)
        return true; /* reading it will say why */
    for (int i = 0; i < above; i++)
        if (walk->above[i].device == facts.st_dev && walk->above[i].number == facts.st_ino)
            return false;
    walk->above[above].device = facts.st_dev;
    walk->above[above].number = facts.st_ino;
    return true;
}

/* A link to one of these would give a class the pictures of all others. */
static void note_folders_above(struct walk *walk) {
    int folder = open(walk->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (folder >= 0 && walk->outside < MOST_ABOVE && enter(walk, folder)) { /* up to the root */
        int next = openat(folder, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        walk->outside++;
        close(folder);
        folder = next;
    }
    if (folder >= 0)
        close(folder);
}

static enum status walk_folder(struct walk *walk, int parent, const char *name);

static enum status take_entry(struct walk *walk, int folder, const struct dirent *entry) {
    size_t length = strlen(walk->path);
    if (entry->d_name[0] == '.')
        return STATUS_OK;
    int kind = kind_of(folder, entry);
    if (kind != DT_DIR && (kind != DT_REG || !is_picture_name(entry->d_name)))
        return STATUS_OK;
    int more = snprintf(walk->path + length, sizeof walk->path - length, "%s%s",
                        length > 0 ? "/" : "", entry->d_name);
    if ((size_t)more >= sizeof walk->path - length)
        return fail(STATUS_USAGE, "%s/%s/%.200s...: the name is too long", walk->folder, walk->name,
                    walk->path);
    enum status status = kind == DT_DIR
                             ? walk_folder(walk, folder, entry->d_name)
                             : picture_list_add(&walk->part->list, walk->path, walk->label, 0, 0);
    walk->path[length] = '\0';
    return status;
}

static enum status read_entries(struct walk *walk, DIR *directory) {
    struct dirent *entry;
    for (errno = 0; (entry = readdir(directory)) != NULL; errno = 0)
        TRY(take_entry(walk, dirfd(directory), entry));
    return errno != 0 ? cannot_read(walk) : STATUS_OK;
}

static enum status walk_folder(struct walk *walk, int parent, const char *name) {
    if (walk->depth == MOST_DEPTH)
        return fail(STATUS_USAGE, "%s/%s/%.200s: folders are deeper than %d", walk->folder,
                    walk->name, walk->path, MOST_DEPTH);
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = folder >= 0 ? fdopendir(folder) : NULL;
    if (directory == NULL) {
        enum status status = cannot_read(walk);
        if (folder >= 0)
            close(folder);
        return status;
    }
    enum status status = STATUS_OK;
    if (enter(walk, folder)) {
        walk->depth++;
        status = read_entries(walk, directory);
        walk->depth--;
    } else {
        sentences_add(&walk->part->notes, "%s/%s/%s leads back to a folder that it is in: left out",
                      walk->folder, walk->name, walk->path);
    }
    closedir(directory);
    return status;
}

enum status folder_walk(struct source_part *part, const char *folder, const char *name, int label) {
    struct walk walk = {.part = part, .folder = folder, .name = name, .label = label};
    char path[PATH_MAX];
    TRY(path_in(path, folder, name));
    note_folders_above(&walk);
    TRY(walk_folder(&walk, AT_FDCWD, path));
    if (part->list.count == 0 && part->notes.kept > 0)
        return fail(STATUS_USAGE, "%s has no picture: %s", path,
                    sentences_next(&part->notes, NULL));
    if (part->list.count == 0)
        return fail(STATUS_USAGE,
                    "%s has no picture, a file that ends in .jpg, .jpeg, .png, .ppm or .pgm", path);
    picture_list_sort(&part->list);
    return STATUS_OK;
}

static enum status print_folders(DIR *directory, const char *folder, FILE *file) {
    struct dirent *entry;
    int found = 0;
    for (errno = 0; (entry = readdir(directory)) != NULL; errno = 0) {
        if (entry->d_name[0] == '.' || kind_of(dirfd(directory), entry) != DT_DIR)
            continue;
        if (strpbrk(entry->d_name, "\n\t\r") != NULL)
            return fail(STATUS_USAGE, "%s/%s: the name of a class has a line break or a tab",
                        folder, entry->d_name);
        fprintf(file, "%s\n", entry->d_name);
        found++;
    }
    if (errno != 0)
        return fail(STATUS_USAGE, "cannot read folder %s: %s", folder, strerror(errno));
    if (found == 0)
        return fail(STATUS_USAGE, "%s has no folder, one for each class", folder);
    fputc('\0', file);
    return STATUS_OK;
}

enum status folder_list(const char *folder, char **text, size_t *size) {
    struct text made;
    FILE *file;
    *text = NULL;
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return fail(STATUS_USAGE, "cannot read folder %s: %s", folder, strerror(errno));
    enum status status = text_open(&made, &file, folder);
    if (status == STATUS_OK) {
        status = print_folders(directory, folder, file);
        enum status closed = text_close(&made, file, folder);
        status = status != STATUS_OK ? status : closed;
        if (status != STATUS_OK)
            free(made.bytes);
        *text = status == STATUS_OK ? made.bytes : NULL;
        *size = made.size - 1;
    }
    closedir(directory);
    return status;
}
