//! Evaluation by face size, beyond what one training run shows.

use std::{fs, path::Path};

use ccface_data::{FaceImage, FaceMask};
use ccface_eval::read_matrix;
use ccface_train::{
    DeviceSpec,
    faces::{FacesRequest, evaluate_faces},
};

use crate::{ground::Ground, support::succeed};

#[test]
fn a_mask_hides_what_lies_outside_the_oval_from_the_network() {
    let ground = Ground::new();
    let model = ground.teacher();
    let (faces, masked) = (ground.path("faces"), ground.path("masked"));
    for person in ["p04", "p05"] {
        fs::create_dir_all(masked.join(person)).unwrap();
        for shot in 0..6 {
            let name = format!("{person}/{shot:02}.png");
            let picture = image::open(faces.join(&name)).unwrap().to_rgb8();
            let oval = FaceMask::Oval.apply(FaceImage::from_rgb8(&picture));
            oval.to_rgb8().save(masked.join(&name)).unwrap();
        }
    }
    let embedded = |data: &Path, mask: FaceMask| {
        let device = DeviceSpec::default().resolve().unwrap();
        let mut request = FacesRequest::new(model.clone(), data.into(), device);
        request.identities = "p04..p05".parse().unwrap();
        request.sizes = vec![8];
        request.mask = mask;
        let evaluation = evaluate_faces(&request, &mut |_, _, _| {}).unwrap();
        let alignment = evaluation.result.protocol.alignment;
        assert_eq!(alignment.contains("--mask oval"), mask == FaceMask::Oval);
        let views = evaluation.student;
        [0, 7].map(|i| [views.hr.row(i), views.lr[&8].row(i)].map(<[f32]>::to_vec))
    };
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let shown = embedded(&faces, FaceMask::Oval);
    let whole = embedded(&faces, FaceMask::None);
    let before = embedded(&masked, FaceMask::None);
    for i in 0..2 {
        // Masked in the folder the grey is 128 in place of 127.5.
        assert!(cosine(&shown[i][0], &before[i][0]) > 0.9999);
        assert!(cosine(&shown[i][0], &whole[i][0]) < 0.999);
        assert!(cosine(&shown[i][1], &whole[i][1]) < 0.999);
    }
    // The same in a protocol that embeds listed images.
    let (probes, rows) = (ground.text("probes.csv"), ground.text("rows.npy"));
    let listed = ["p04", "p05"].map(|p| [0, 1, 2].map(|i| format!("{p}/{i:02}.png,{p}\n")));
    fs::write(&probes, format!("path,label\n{}", listed.concat().concat())).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let json = succeed(&[
        "evaluate",
        "csv",
        &text(&faces),
        "--probe",
        &probes,
        "--model",
        &text(&model),
        "--mask",
        "oval",
        "--save-embeddings",
        &rows,
        "--json",
        "-",
    ]);
    assert!(json.contains("--mask oval"), "{json}");
    let row = &read_matrix(Path::new(&rows)).unwrap().data[..16];
    let norm = cosine(row, row).sqrt();
    assert!(cosine(row, &shown[0][0]) / norm > 0.999_999);
}
