/* QEMU plugin: counts the instructions that a program of another processor executes between two marks.
 *
 * The program marks them by setting a file's position: lseek(file, START, 0), lseek(file, STOP, 0). At STOP the plugin
 * writes "instructions N" to stderr.
 *
 * A block of instructions is counted when it starts, by code that QEMU puts inline. The model runs in one thread, so
 * one counter is enough. The few declarations are those of version 1 of QEMU's plugin interface (QEMU 4.2 to 8.2),
 * which Debian ships no header for.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#define START 0x65646765
#define STOP 0x65646766
#define LSEEK 62 /* the call's number on 64-bit ARM */
#define ADD_U64 0

struct qemu_plugin_tb;

typedef void block_callback(uint64_t plugin, struct qemu_plugin_tb *block);
typedef void call_callback(uint64_t plugin, unsigned int cpu, int64_t call, uint64_t a1, uint64_t a2, uint64_t a3,
                           uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t plugin, block_callback *callback);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int operation, void *counter, uint64_t add);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t plugin, call_callback *callback);

int qemu_plugin_version = 1;

static uint64_t executed, at_start;

static void translated(uint64_t plugin, struct qemu_plugin_tb *block) {
    (void)plugin;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &executed, qemu_plugin_tb_n_insns(block));
}

static void called(uint64_t plugin, unsigned int cpu, int64_t call, uint64_t file, uint64_t offset, uint64_t a3,
                   uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
    (void)plugin, (void)cpu, (void)file, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (call == LSEEK && offset == START) at_start = executed;
    if (call == LSEEK && offset == STOP) fprintf(stderr, "instructions %" PRIu64 "\n", executed - at_start);
}

int qemu_plugin_install(uint64_t plugin, const void *info, int count, char **arguments) {
    (void)info, (void)count, (void)arguments;
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated);
    qemu_plugin_register_vcpu_syscall_cb(plugin, called);
    return 0;
}
