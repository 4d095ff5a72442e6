// See br_table.wat.
static const unsigned char program[] = {0, 1, 2, 3, 4, 5, 6};

long long run(int count) {
    unsigned n = count, acc = 0, pc = 0;
    for (;;) {
        switch (((const volatile unsigned char *)program)[pc]) {
        case 0: n--; pc++; break;
        case 1: if (!n) return acc; pc++; break;
        case 2: acc *= 31; pc++; break;
        case 3: acc += n; pc++; break;
        case 4: pc += 2 - (acc & 1); break;
        case 5: acc ^= n; pc++; break;
        case 6: pc = 0; break;
        default: return acc;
        }
    }
}
