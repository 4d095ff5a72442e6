// See matmul_ikj.wat.
static double a[128 * 128], b[128 * 128], c[128 * 128];

double run(int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            a[i * n + j] = i + j;
            b[i * n + j] = i - j;
            c[i * n + j] = 0;
        }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++) {
            double factor = a[i * n + k];
            for (int j = 0; j < n; j++)
                c[i * n + j] += factor * b[k * n + j];
        }
    for (int i = 0; i < n * n; i++)
        sum += c[i];
    return sum;
}
