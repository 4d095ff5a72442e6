// See bulk_small.wat.
#include <string.h>

static unsigned char memory[16];

long long run(int n) {
    long long result = 0x0807060504030201;
    memcpy(memory, &result, 8);
    do {
        memmove(memory + 1, memory, 7);
        memset(memory, n, 3);
        __asm__ volatile("" ::: "memory");
    } while (--n);
    memcpy(&result, memory, 8);
    return result;
}
