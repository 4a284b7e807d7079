/* tests/sim/simdisk_priv.h: the state behind simdisk: contents by pages, inodes with what is not synced, names.
 * simdisk_state.c keeps and crashes it; simdisk.c is the interface. */
#ifndef REGENT_SIM_SIMDISK_PRIV_H
#define REGENT_SIM_SIMDISK_PRIV_H

#include "tests/sim/simdisk.h"

enum { SECTOR = SIMDISK_SECTOR_BYTES, PAGE = 4096, FILE_BYTES_MAX = 1 << 30 };

/* Bytes by pages; a NULL page is zeros. */
struct content {
    uint8_t **pages; /* own */
    size_t n_pages;
    uint64_t size;
};

/* One change since the last sync, in order. data NULL: zeros over [offset, offset + n). */
struct op {
    uint64_t offset, n;
    uint64_t size; /* of the file afterwards */
    uint8_t *data; /* own */
};

struct inode {
    unsigned refs;
    bool dir;
    struct content live, durable;
    struct op *ops; /* own */
    size_t n_ops, cap_ops;
};

struct name {
    char *path; /* own */
    struct inode *inode;
};

struct names {
    struct name *v; /* own */
    size_t n, cap;
};

enum name_op_kind { NAME_LINK, NAME_UNLINK, NAME_RENAME };

struct name_op {
    enum name_op_kind kind;
    char *path, *to; /* own */
    struct inode *inode;
};

struct handle {
    int fd;
    struct inode *inode;
    char *path; /* own */
    bool read_only;
};

struct simdisk {
    struct simdisk *self; /* what io->impl points to when the user has no struct of its own */
    struct rg_prng prng;
    struct names live, durable;
    struct name_op *pending; /* own */
    size_t n_pending, cap_pending;
    struct handle *handles; /* own */
    size_t n_handles, cap_handles;
    int next_fd;
    uint64_t budget;
    unsigned fail_sync, fail_write, fail_read;
    struct simdisk_stats stats;
};


void *sd_must(void *p);
char *sd_copy_text(const char *s);
void sd_grow_array(void **v, size_t *cap, size_t n, size_t item);
void sd_content_read(const struct content *c, uint64_t at, void *out, size_t n);
void sd_content_write(struct content *c, uint64_t at, const uint8_t *data, uint64_t n);
void sd_content_copy(struct content *to, const struct content *from);
void sd_content_resize(struct content *c, uint64_t size);
struct inode *sd_inode_ref(struct inode *inode);
void sd_inode_unref(struct inode *inode);
struct name *sd_names_find(const struct names *names, const char *path);
void sd_names_remove(struct names *names, struct name *name);
void sd_names_link(struct names *names, const char *path, struct inode *inode);
void sd_names_clear(struct names *names);
void sd_names_apply(struct names *names, const struct name_op *op);
void sd_name_op_deinit(struct name_op *op);
void sd_push_name_op(struct simdisk *disk, enum name_op_kind kind, const char *path, const char *to,
                     struct inode *inode);
size_t sd_parent_length(const char *path);
bool sd_in_dir(const char *path, const char *dir);
bool sd_parent_exists(const struct names *names, const char *path);
struct inode *sd_find_file(const struct simdisk *disk, const char *path);
void sd_inode_write(struct inode *inode, uint64_t offset, uint64_t n, const uint8_t *data);
void sd_inode_resize(struct inode *inode, uint64_t size);
void sd_inode_sync(struct inode *inode, struct rg_prng *lossy);
void sd_crash_inode(struct simdisk *disk, struct inode *inode, struct rg_prng *prng);
void sd_crash_names(struct simdisk *disk, struct rg_prng *prng);

#endif
