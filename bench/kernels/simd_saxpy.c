// See simd_saxpy.wat.
static float x[256], y[256];

long long run(int n) {
    int sum = 0;
    for (int i = 0; i < 256; i++) {
        x[i] = i;
        y[i] = 0;
    }
    do {
        for (int i = 0; i < 256; i++)
            y[i] += 0.5f * x[i];
        __asm__ volatile("" ::: "memory");
    } while (--n);
    for (int i = 0; i < 256; i++)
        sum += (int)y[i];
    return sum;
}
