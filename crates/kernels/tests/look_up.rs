//! What is looked up straight from tables is what is gathered first and summed then, bit for bit.

use radhard_kernels::{
    Behind, Ending, GlobalId, Joined, Kernels, LANES, Lane, LookUps, Path, RowIds, Table, TableRow,
};

fn bits(lanes: &[Lane]) -> Vec<u32> {
    let canonical = |x: &f32| if x.is_nan() { 0x7fc0_0000 } else { x.to_bits() };
    lanes.as_flattened().iter().map(canonical).collect()
}

fn table(rows: usize, width: usize, special: bool) -> Vec<f32> {
    let specials = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, -0.0, 3e38, -3e38, 1.9e19];
    (0..rows * width)
        .map(|i| match i % 997 {
            n @ 0..8 if special => specials[n],
            _ => (i * 37 % 101) as f32 / 7.0 - 5.0,
        })
        .collect()
}

/// The table rows of a block, field after field.
fn gathered(kernels: Kernels, table: &[f32], width: usize, ids: &[GlobalId], block: usize) -> Vec<Lane> {
    let lanes = width * block / LANES;
    let mut gathered = vec![[0.0; LANES]; ids.len() / block * lanes];
    for (ids, out) in ids.chunks_exact(block).zip(gathered.chunks_exact_mut(lanes)) {
        kernels.gather(Table::F32(table), ids, GlobalId::FIRST, width, out);
    }
    gathered
}

#[test]
fn sums_straight_from_a_table_are_those_of_a_gathered_block() {
    for fields in [1usize, 2, 3, 7, 8, 9, 13, 24, 39, 47, 130] {
        for (width, outputs, rows) in [(16, 16, 16), (16, 5, 40), (32, 32, 33), (48, 40, 64)] {
            let dims: Vec<u32> = (0..fields as u32).map(|f| 3 + f * 7 % 11).collect();
            let offsets: Vec<GlobalId> = (0..fields).map(|f| GlobalId::new(dims[..f].iter().sum())).collect();
            let total = dims.iter().sum::<u32>() as usize;
            let table = table(total, width, fields > 7);
            let index = |row: usize, f: usize| (row as u32 * 31 + f as u32 * 17) % dims[f];
            let more = 20;
            let indices: Vec<u32> = (0..rows + more)
                .flat_map(|row| (0..fields).map(move |f| (row, f)))
                .map(|(row, f)| index(row, f))
                .collect();
            let block = rows.div_ceil(LANES) * LANES;
            let ids: Vec<GlobalId> = (0..fields)
                .flat_map(|f| (0..block).map(move |row| (row, f)))
                .map(|(row, f)| TableRow::new(index(row.min(rows - 1), f)).id(offsets[f]))
                .collect();
            let groups = block / LANES;
            let (alpha, beta) = (vec![-1.5; outputs], vec![0.25; outputs]);
            let bias: Vec<f32> = (0..outputs).map(|j| j as f32 / 3.0).collect();
            for &path in Path::available() {
                let kernels = Kernels::on(path).unwrap();
                let gathered = gathered(kernels, &table, width, &ids, block);
                let (mut flat, mut outside) = (vec![GlobalId::FIRST; indices.len()], false);
                kernels.row_ids(&indices, (&offsets.repeat(3), &dims.repeat(3)), &mut flat, &mut outside);
                assert!(!outside);
                let far: Vec<u32> = (0..fields as u32).step_by(2).collect();
                let all = RowIds { ids: &flat, fields, far: &far, rows, later: &indices };
                let (mut expected, mut found) =
                    (vec![[0.0; LANES]; outputs * groups], vec![[9.0; LANES]; outputs * groups]);
                for j in 0..outputs {
                    let column: Vec<_> = (0..fields)
                        .flat_map(|f| &gathered[(f * width + j) * groups..(f * width + j + 1) * groups])
                        .copied()
                        .collect();
                    let mut sum = vec![[0.0; LANES]; groups];
                    kernels.field_sum(&column, &mut sum);
                    kernels.add_number(&sum, bias[j], &mut expected[j * groups..(j + 1) * groups]);
                }
                let mut scaled = expected.clone();
                kernels.affine(&alpha, &beta, &expected, &mut scaled);
                let mut rectified = scaled.clone();
                kernels.relu(&scaled, &mut rectified);
                let same = |what: &str, found: &[Lane], expected: &[Lane]| {
                    assert_eq!(bits(found), bits(expected), "{what} of {fields} on {path}");
                };
                let ending = Ending { bias: &bias, ..Ending::default() };
                let sums = Some((&table[..], (width, outputs), ending, &mut found[..]));
                kernels.look_up(all, LookUps { sums, ..LookUps::default() });
                same("sums", &found, &expected);
                let ending = Ending { bias: &bias, scale: Some((&alpha, &beta)), rectify: true };
                let sums = Some((&table[..], (width, outputs), ending, &mut found[..]));
                kernels.look_up(all, LookUps { sums, ..LookUps::default() });
                same("rectified sums", &found, &rectified);
                let nothing = || vec![[9.0; LANES]; groups];
                let (mut factorised, mut summed) = (nothing(), nothing());
                kernels.factorisation(&gathered, fields, &mut factorised);
                let column: Vec<_> = (0..fields)
                    .flat_map(|f| &gathered[f * width * groups..(f * width + 1) * groups])
                    .copied()
                    .collect();
                kernels.field_sum(&column, &mut summed);
                let first: Vec<f32> = table.iter().step_by(width).copied().collect();
                // All rows in the tables, and some behind them.
                for (alone, end) in [(true, total), (false, total), (true, total / 2), (false, total / 3)] {
                    let (mut terms, mut values) = (nothing(), nothing());
                    let mut rows = vec![[9.0; LANES]; gathered.len()];
                    found.fill([9.0; LANES]);
                    let (own, others) = table.split_at(end * width);
                    let (own_first, other_first) = first.split_at(end);
                    let behind = Behind { values: other_first, rows: others, sums: others };
                    let behind = (end < total).then_some(behind);
                    let looked = LookUps {
                        behind,
                        values: Some((own_first, &mut values)),
                        terms: Some((own, width, &mut terms)),
                        sums: (!alone).then_some((own, (width, outputs), ending, &mut found[..])),
                        rows: alone.then_some((own, width, &mut rows[..])),
                        ..LookUps::default()
                    };
                    kernels.look_up(all, looked);
                    same("factorisation", &terms, &factorised);
                    same("values", &values, &summed);
                    if alone && fields == 2 {
                        let mut pairs = vec![[9.0; LANES]; width * groups];
                        let mut expected = pairs.clone();
                        let looked = Some((own, width, &mut pairs[..]));
                        kernels.look_up(all, LookUps { behind, pairs: looked, ..LookUps::default() });
                        let (a, b) = gathered.split_at(width * groups);
                        kernels.multiply(a, b, &mut expected);
                        same("pairs", &pairs, &expected);
                    }
                    if alone {
                        same("rows", &rows, &gathered);
                    } else {
                        same("sums beside terms", &found, &rectified);
                    }
                }
            }
        }
    }
}

#[test]
fn two_values_of_a_table_row_are_summed_like_one() {
    for (fields, rows) in [(1, 16), (2, 40), (39, 33), (130, 64)] {
        let pairs: Vec<[f32; 2]> = table(50, 2, fields > 7).as_chunks::<2>().0.to_vec();
        let ids: Vec<GlobalId> = (0..rows as u32 * fields).map(|at| GlobalId::new(at * 31 % 50)).collect();
        let fields = fields as usize;
        let all = RowIds { ids: &ids, fields, far: &[], rows, later: &[] };
        for &path in Path::available() {
            let kernels = Kernels::on(path).unwrap();
            let mut found = [0, 1].map(|_| vec![[9.0; LANES]; rows.div_ceil(LANES)]);
            let [first, second] = &mut found;
            let both = Some((&pairs[..], &mut first[..], &mut second[..]));
            kernels.look_up(all, LookUps { both, ..LookUps::default() });
            for (i, found) in found.iter().enumerate() {
                let values: Vec<f32> = pairs.iter().map(|pair| pair[i]).collect();
                let mut expected = vec![[9.0; LANES]; found.len()];
                let alone = Some((&values[..], &mut expected[..]));
                kernels.look_up(all, LookUps { values: alone, ..LookUps::default() });
                assert_eq!(bits(found), bits(&expected), "value {i} of {fields} fields on {path}");
            }
        }
    }
}

#[test]
fn what_one_table_holds_is_looked_up_as_from_two() {
    for (fields, rows) in [(1, 16usize), (2, 40), (3, 1), (39, 33), (130, 64)] {
        let (values, products) = (table(50, LANES, fields > 7), table(51, LANES, fields > 2));
        let products = &products[LANES..];
        let joined: Vec<f32> = (values.chunks_exact(LANES).zip(products.chunks_exact(LANES)))
            .flat_map(|(values, products)| [values, products].concat())
            .collect();
        let ids: Vec<GlobalId> = (0..rows as u32 * fields).map(|at| GlobalId::new(at * 31 % 50)).collect();
        let (fields, groups) = (fields as usize, rows.div_ceil(LANES));
        let all = RowIds { ids: &ids, fields, far: &[0], rows, later: &[] };
        let first: Vec<f32> = values.iter().step_by(LANES).copied().collect();
        let bias: Vec<f32> = (0..LANES).map(|j| j as f32 / 3.0).collect();
        let ending = Ending { bias: &bias, scale: None, rectify: true };
        for &path in Path::available() {
            let kernels = Kernels::on(path).unwrap();
            let nothing = |width: usize| vec![[9.0; LANES]; width * groups];
            for outputs in [1, 5, LANES] {
                let mut expected = [1, 1, outputs, LANES * fields].map(nothing);
                let [of_values, terms, sums, gathered] = &mut expected;
                let looked = LookUps {
                    values: Some((&first, of_values)),
                    terms: Some((&values, LANES, terms)),
                    sums: Some((products, (LANES, outputs), ending, sums)),
                    rows: Some((&values, LANES, gathered)),
                    ..LookUps::default()
                };
                kernels.look_up(all, looked);
                for (with_terms, with_rows) in [(true, true), (true, false), (false, true)] {
                    let mut found = [1, 1, outputs, LANES * fields].map(nothing);
                    let [of_values, terms, sums, gathered] = &mut found;
                    let joined = Joined {
                        table: &joined,
                        terms: with_terms.then_some(&mut terms[..]),
                        rows: with_rows.then_some(&mut gathered[..]),
                        ending,
                        outputs,
                        sums,
                    };
                    let values = Some((&first[..], &mut of_values[..]));
                    kernels.look_up(all, LookUps { values, joined: Some(joined), ..LookUps::default() });
                    let asked = [true, with_terms, true, with_rows];
                    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                        let expected = if asked[i] { expected } else { &vec![[9.0; LANES]; found.len()] };
                        assert_eq!(bits(found), bits(expected), "value {i} of {fields} fields on {path}");
                    }
                }
            }
        }
    }
}
