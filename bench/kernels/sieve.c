// See sieve.wat.
static unsigned char composite[16 << 20];

long long run(int n) {
    unsigned count = 0, end = n;
    for (unsigned i = 0; i < end; i++)
        composite[i] = 0;
    for (unsigned i = 2; i < end; i++)
        if (!composite[i]) {
            count++;
            for (unsigned j = i + i; j < end; j += i)
                composite[j] = 1;
        }
    return count;
}
