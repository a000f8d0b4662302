//! The battery that every path passes: the same bits as the plain code, on every kind of number.

use proptest::prelude::*;
use radhard_kernels::{GlobalId, Kernels, LANES, Lane, Path, Table, plain};

/// Any f32 by its bits, with the special ones far more often than chance.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -2.0f32..2.0,
        2 => any::<u32>().prop_map(f32::from_bits),
        1 => prop::sample::select(vec![
            0.0, -0.0, f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, f32::MIN_POSITIVE,
            1e-45, -1e-45, 1e-40, -3e-39, 1.0, -1.0, 1.9e19, -3e38,
        ]),
    ]
}

/// Mostly ordinary numbers, so that sums are not all NaN.
fn tame() -> impl Strategy<Value = f32> {
    prop_oneof![200 => -2.0f32..2.0, 1 => number()]
}

fn numbers(len: usize) -> impl Strategy<Value = Vec<f32>> {
    prop_oneof![prop::collection::vec(tame(), len), prop::collection::vec(number(), len)]
}

/// Equality of canonical values: NaN equals NaN, all else by bits.
fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

fn assert_same(what: &str, path: Path, found: &[f32], expected: &[f32]) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    for (i, (&f, &e)) in found.iter().zip(expected).enumerate() {
        prop_assert!(same(f, e), "{} on {}, value {}: {:e} instead of {:e}", what, path, i, f, e);
    }
    Ok(())
}

/// Rows `[R, width]` as a feature-major block.
fn block(rows: &[f32], width: usize) -> Vec<Lane> {
    let groups = rows.len() / width / LANES;
    let mut out = vec![[0.0; LANES]; width * groups];
    for (r, row) in rows.chunks_exact(width).enumerate() {
        for (k, &x) in row.iter().enumerate() {
            out[k * groups + r / LANES][r % LANES] = x;
        }
    }
    out
}

/// A feature-major block as rows `[R, width]`.
fn rows(block: &[Lane], width: usize) -> Vec<f32> {
    let groups = block.len() / width;
    (0..groups * LANES)
        .flat_map(|r| (0..width).map(move |k| block[k * groups + r / LANES][r % LANES]))
        .collect()
}

fn paths() -> impl Iterator<Item = (Path, Kernels)> {
    Path::available().iter().map(|&path| (path, Kernels::on(path).expect("the path is available")))
}

/// What `plain` gives for each row.
fn by_row(x: &[f32], width: usize, outputs: usize, plain: impl Fn(&[f32], &mut [f32])) -> Vec<f32> {
    let mut out = vec![0.0; x.len() / width * outputs];
    for (x, y) in x.chunks_exact(width).zip(out.chunks_exact_mut(outputs)) {
        plain(x, y);
    }
    out
}

prop_compose! {
    /// (fields, dim, groups, outputs, x, weights, bias)
    fn layer()(fields in 1usize..12, dim in 1usize..20, groups in 1usize..6, outputs in 1usize..7)(
        x in numbers(fields * dim * groups * LANES),
        weights in numbers(outputs * fields * dim),
        bias in numbers(outputs),
        shape in Just((fields, dim, groups, outputs)),
        with_bias in any::<bool>(),
    ) -> ((usize, usize, usize, usize), Vec<f32>, Vec<f32>, Vec<f32>) {
        (shape, x, weights, if with_bias { bias } else { Vec::new() })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn field_layers_equal_the_plain_one(((fields, dim, groups, outputs), x, w, b) in layer()) {
        let inputs = fields * dim;
        let expected = by_row(&x, inputs, outputs, |x, y| plain::field_layer(&w, &b, x, fields, y));
        for (path, kernels) in paths() {
            let mut y = vec![[7.0; LANES]; outputs * groups];
            kernels.field_layer(&w, &b, &block(&x, inputs), inputs, fields, &mut y);
            assert_same("field layer", path, &rows(&y, outputs), &expected)?;
        }
    }

    #[test]
    fn linear_layers_equal_the_plain_one(
        (inputs, groups, outputs) in (prop_oneof![1usize..40, 250usize..270, 510usize..530], 1usize..6, 1usize..7),
        seed in any::<u64>(), wild in any::<bool>(),
    ) {
        let draw = |n: usize, salt: u64| values(n, seed ^ salt, wild);
        let (x, w, b) = (draw(inputs * groups * LANES, 1), draw(inputs * outputs, 2), draw(outputs, 3));
        let expected = by_row(&x, inputs, outputs, |x, y| plain::linear(&w, &b, x, y));
        for (path, kernels) in paths() {
            let mut y = vec![[7.0; LANES]; outputs * groups];
            kernels.linear(&w, &b, &block(&x, inputs), inputs, &mut y);
            assert_same("linear", path, &rows(&y, outputs), &expected)?;
        }
    }

    #[test]
    fn interactions_equal_the_plain_ones(((fields, dim, groups, _), x, w, _) in layer()) {
        let width = fields * dim;
        let pairs = by_row(&x, width, 1, |x, y| y[0] = plain::factorisation(x, fields));
        let sums = by_row(&x, width, 1, |x, y| y[0] = plain::tree(x));
        let mut soft = x.clone();
        soft.chunks_exact_mut(width).for_each(plain::softmax);
        let attended = by_row(&x, width, dim, |x, y| plain::pair_sum(x, &shares(x, fields), fields, y));
        let dots = by_row(&x, width, 1, |x, y| y[0] = plain::dot(x, x));
        for (path, kernels) in paths() {
            let v = block(&x, width);
            let mut y = vec![[0.0; LANES]; groups];
            kernels.add_dot(&v, &v, &mut y);
            assert_same("dot", path, &rows(&y, 1), &dots)?;
            kernels.factorisation(&v, fields, &mut y);
            assert_same("factorisation", path, &rows(&y, 1), &pairs)?;
            kernels.field_sum(&v, &mut y);
            assert_same("field sum", path, &rows(&y, 1), &sums)?;
            let mut moved = y.clone();
            kernels.add_number(&y, w[0], &mut moved);
            assert_same("number", path, &rows(&moved, 1), &sums.iter().map(|x| x + w[0]).collect::<Vec<_>>())?;
            let mut softened = v.clone();
            kernels.softmax(&mut softened, groups);
            assert_same("softmax", path, &rows(&softened, width), &soft)?;
            let count = fields * (fields - 1) / 2;
            let given: Vec<f32> = x.chunks_exact(width).flat_map(|x| shares(x, fields)).collect();
            let given = if count == 0 { Vec::new() } else { block(&given, count) };
            let mut out = vec![[7.0; LANES]; dim * groups];
            kernels.pair_sum(&v, &given, fields, &mut out);
            assert_same("pair sum", path, &rows(&out, dim), &attended)?;
        }
    }

    #[test]
    fn elementwise_kernels_equal_the_plain_ones(
        (a, b, x) in (1usize..40).prop_flat_map(|n| (numbers(n), numbers(n), numbers(n * LANES))),
    ) {
        let width = a.len();
        let n = x.len();
        let affine = by_row(&x, width, width, |x, y| {
            for i in 0..width {
                y[i] = plain::affine(a[i], b[i], x[i]);
            }
        });
        let relu: Vec<f32> = x.iter().map(|&x| plain::relu(x)).collect();
        let sigmoid: Vec<f32> = x.iter().map(|&x| plain::sigmoid(x)).collect();
        let crossed = by_row(&x, width, width, |x, y| {
            for i in 0..width {
                y[i] = plain::cross(x[i], x[0], b[i], x[width - 1 - i]);
            }
        });
        for (path, kernels) in paths() {
            let v = block(&x, width);
            let mut y = vec![[7.0; LANES]; width];
            kernels.affine(&a, &b, &v, &mut y);
            assert_same("affine", path, &rows(&y, width), &affine)?;
            kernels.relu(&v, &mut y);
            assert_same("relu", path, &rows(&y, width), &relu)?;
            let mut s = vec![7.0; n];
            kernels.sigmoid(&x, &mut s);
            assert_same("sigmoid", path, &s, &sigmoid)?;
            let reversed: Vec<Lane> = v.iter().rev().copied().collect();
            kernels.cross(&v, &v[..1], &b, &reversed, &mut y);
            assert_same("cross", path, &rows(&y, width), &crossed)?;
        }
    }

    #[test]
    fn gathered_rows_are_the_tables_rows(
        (dim, table, ids) in (1usize..40, 1usize..30).prop_flat_map(|(dim, n)| {
            (Just(dim), numbers(dim * n), prop::collection::vec(0..n as u32, 3 * LANES))
        }),
    ) {
        let expected: Vec<f32> =
            ids.iter().flat_map(|&id| table[id as usize * dim..][..dim].to_vec()).collect();
        for (path, kernels) in paths() {
            let mut out = vec![[7.0; LANES]; dim * 3];
            kernels.gather(Table::F32(&table), GlobalId::all(&ids), GlobalId::FIRST, dim, &mut out);
            assert_same("gather", path, &rows(&out, dim), &expected)?;
            let first = GlobalId::new(1000);
            let later: Vec<GlobalId> = ids.iter().map(|id| GlobalId::new(id + 1000)).collect();
            kernels.gather(Table::F32(&table), &later, first, dim, &mut out);
            assert_same("gather", path, &rows(&out, dim), &expected)?;
            let mut back = vec![7.0; expected.len()];
            kernels.to_rows(&out, dim, &mut back);
            assert_same("to_rows", path, &back, &expected)?;
        }
    }

    #[test]
    fn products_of_table_rows_are_the_layer_on_them(
        (dim, outputs, first, (words, scales, biases), weights, table) in
            (prop_oneof![1usize..40, Just(16), Just(32)], 1usize..40, 0usize..5, 1usize..30).prop_flat_map(|(dim, outputs, first, n)| {
                let rows = first + n;
                let words = (prop::collection::vec(any::<u16>(), dim * rows), numbers(rows), numbers(rows));
                (Just(dim), Just(outputs), Just(first), words, numbers(outputs * dim), numbers(dim * rows))
            }),
    ) {
        let codes: Vec<u8> = words.iter().map(|word| (word >> 8) as u8).collect();
        let rowwise = Table::Int8Rowwise { codes: &codes, scales: &scales, biases: &biases };
        let width = outputs.next_multiple_of(LANES);
        let mut columns = vec![0.0; dim * width];
        for (at, weight) in weights.iter().enumerate() {
            columns[at % dim * width + at / dim] = *weight;
        }
        for table in [Table::F32(&table), Table::F16(&words), Table::Bf16(&words), rowwise] {
            let count = scales.len() - first;
            let mut row = vec![0.0; dim];
            let mut expected = Vec::new();
            for id in first..first + count {
                table.row(id, &mut row);
                let product = |w: &[f32]| w.iter().zip(&row).fold(0.0, |sum: f32, (w, x)| x.mul_add(*w, sum));
                expected.extend(weights.chunks_exact(dim).map(product));
            }
            for (path, kernels) in paths() {
                let mut out = vec![7.0; count * width];
                kernels.row_products(table, (first, dim), &columns, width, &mut out);
                let found: Vec<f32> = out.chunks_exact(width).flat_map(|row| row[..outputs].to_vec()).collect();
                assert_same("row_products", path, &found, &expected)?;
                if let (Table::F32(words), 0) = (table, dim % LANES) {
                    let rows = &words[first * dim..];
                    let mut both = vec![7.0; count * (dim + width)];
                    kernels.rows_and_products(rows, dim, &columns, width, &mut both);
                    for ((both, row), product) in
                        both.chunks_exact(dim + width).zip(rows.chunks_exact(dim)).zip(out.chunks_exact(width))
                    {
                        let (before, behind) = both.split_at(dim);
                        prop_assert!(before.iter().zip(row).all(|(a, b)| a.to_bits() == b.to_bits()), "rows on {path}");
                        assert_same("rows_and_products", path, behind, product)?;
                    }
                }
            }
        }
    }

    #[test]
    fn gathered_rows_of_every_format_are_the_plain_ones(
        (dim, words, scales, biases, ids) in (1usize..40, 1usize..30).prop_flat_map(|(dim, n)| {
            let words = prop::collection::vec(any::<u16>(), dim * n);
            (Just(dim), words, numbers(n), numbers(n), prop::collection::vec(0..n as u32, 3 * LANES))
        }),
    ) {
        let codes: Vec<u8> = words.iter().map(|word| (word >> 8) as u8).collect();
        let rowwise = Table::Int8Rowwise { codes: &codes, scales: &scales, biases: &biases };
        for table in [Table::F16(&words), Table::Bf16(&words), rowwise] {
            let mut expected = vec![0.0; dim * ids.len()];
            for (row, &id) in expected.chunks_exact_mut(dim).zip(&ids) {
                for (d, value) in row.iter_mut().enumerate() {
                    let at = id as usize * dim + d;
                    *value = match table {
                        Table::F16(words) => plain::f16(words[at]),
                        Table::Bf16(words) => plain::bf16(words[at]),
                        _ => plain::dequantised(codes[at], scales[id as usize], biases[id as usize]),
                    };
                }
                let mut whole = vec![7.0; dim];
                table.row(id as usize, &mut whole);
                assert_same("row", Path::Portable, &whole, row)?;
            }
            for (path, kernels) in paths() {
                let mut out = vec![[7.0; LANES]; dim * 3];
                let first = GlobalId::new(1000);
            let later: Vec<GlobalId> = ids.iter().map(|id| GlobalId::new(id + 1000)).collect();
                kernels.prefetch(table, &later, first, dim);
                kernels.gather(table, &later, first, dim, &mut out);
                assert_same("gather", path, &rows(&out, dim), &expected)?;
            }
        }
    }

    #[test]
    fn training_kernels_have_the_same_bits_on_every_path(((fields, dim, groups, outputs), x, w, _) in layer()) {
        let inputs = fields * dim;
        let v = block(&x, inputs);
        let dy: Vec<Lane> = v.iter().cycle().take(outputs * groups).copied().collect();
        let mut first: Option<Vec<f32>> = None;
        for (path, kernels) in paths() {
            let mut all = Vec::new();
            let mut dx = v.clone();
            kernels.linear_input_gradient(&w, &dy, inputs, &mut dx);
            kernels.factorisation_gradient(&v, fields, &dy[..groups], &mut dx);
            kernels.relu_gradient(&v, &v, &mut dx);
            kernels.add_scaled(&v, &dy[..groups], &mut dx);
            all.extend_from_slice(dx.as_flattened());
            let mut dw = w.clone();
            kernels.linear_weight_gradient(&v, &dy, inputs, &mut dw);
            kernels.feature_sums(&dy, &mut dw[..outputs]);
            all.extend_from_slice(&dw);
            let mut dot = dy[..groups].to_vec();
            kernels.add_dot(&v, &v, &mut dot);
            all.extend_from_slice(dot.as_flattened());
            let step = radhard_kernels::AdamStep::at(3, 1e-3, 1e-6, (0.9, 0.999), 1e-8);
            let (mut p, mut m, mut s) = (w.clone(), vec![0.1; w.len()], vec![1e-30; w.len()]);
            kernels.adam(&step, &dw, &mut p, &mut m, &mut s);
            kernels.adam_idle(&step, &mut p, &mut m, &mut s);
            all.extend([p, m, s].concat());
            match &first {
                None => first = Some(all),
                Some(first) => assert_same("training", path, &all, first)?,
            }
        }
    }
}

/// Shares of the pairs, made from a row.
fn shares(x: &[f32], fields: usize) -> Vec<f32> {
    (0..fields * (fields - 1) / 2).map(|p| x[p % x.len()]).collect()
}

/// Reproducible values without a strategy per element; `wild` takes any bits.
fn values(n: usize, seed: u64, wild: bool) -> Vec<f32> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bits = (state >> 32) as u32;
            if wild && bits.is_multiple_of(97) {
                f32::from_bits(bits.rotate_left(7))
            } else {
                bits as f32 / u32::MAX as f32 - 0.5
            }
        })
        .collect()
}

#[test]
fn portable_is_always_there_and_detected_is_the_last() {
    assert_eq!(Path::available()[0], Path::Portable);
    assert_eq!(Kernels::detected().path(), *Path::available().last().unwrap());
}

#[test]
fn adam_flushes_subnormal_moments_only() {
    let step = radhard_kernels::AdamStep::at(1, 1e-3, 0.0, (0.9, 0.999), 1e-8);
    for (_, kernels) in paths() {
        let (mut w, mut m, mut v) = ([1e-40f32], [1.2e-38f32], [1.2e-38f32]);
        kernels.adam_idle(&step, &mut w, &mut m, &mut v);
        assert_eq!((m[0], v[0]), (0.0, 1.2e-38 * 0.999));
        kernels.adam(&step, &[0.0], &mut w, &mut m, &mut v);
        assert!(w[0] > 0.0);
    }
}
