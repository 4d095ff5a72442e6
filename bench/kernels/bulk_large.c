// See bulk_large.wat.
#include <string.h>

static unsigned char memory[2 << 16];

long long run(int n) {
    do {
        memset(memory, n, 1 << 16);
        memcpy(memory + (1 << 16), memory, 1 << 16);
        __asm__ volatile("" ::: "memory");
    } while (--n);
    return memory[(2 << 16) - 1];
}
