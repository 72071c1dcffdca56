#include "support_folder.h"

#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[PATH_MAX];

const char *test_path(const char *name) {
    static char paths[4][2 * PATH_MAX];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* Counts the files, removing them when asked to. */
static int walk(int removing) {
    DIR *directory = opendir(folder);
    int files = 0;
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct stat facts;
        const char *path = test_path(entry->d_name);
        if (stat(path, &facts) != 0 || !S_ISREG(facts.st_mode))
            continue;
        files++;
        if (removing)
            assert_int_equal(unlink(path), 0);
    }
    closedir(directory);
    return files;
}

const char *test_folder(const char *name) {
    snprintf(folder, sizeof folder, "%s/files-of-%s", TAPER_BINARY_DIR, name);
    mkdir(folder, 0777);
    walk(1);
    return folder;
}

int test_files(void) {
    return walk(0);
}

const char *test_write(const char *name, const void *data, size_t size) {
    const char *path = test_path(name);
    unlink(path); /* file systems flush a file that is overwritten, which is slow */
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}
